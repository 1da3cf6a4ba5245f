"""Serves the pictures of a map: Streamlit keeps them as long as a page that is open shows them."""

from __future__ import annotations

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx


def serve(content: bytes, media_type: str) -> str:
    """The address of a file that this session's page shows; empty outside a session."""
    if get_script_run_ctx() is None or not runtime.exists():
        return ""
    place = f"map {media_type} {len(content)} {hash(content)}"
    address = runtime.get_instance().media_file_mgr.add(content, media_type, place)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{address}" if base else address
