"""Signing in through Streamlit's own OpenID Connect where it is configured, and who may write.

Every panel that changes something shows its buttons disabled where `may_write` says no, and asks `who` for the name at
the moment it writes: what a browser sends although its button was disabled is refused there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import streamlit as st
from streamlit.errors import Error as StreamlitFailure

from s2dash.dashboard import state
from s2dash.dashboard.language import t
from s2dash.dashboard.texts import plain
from s2dash.dashboard.who import Person, listed_writers, person_of, providers
from s2dash.errors import NotAllowedError, SignInError
from s2dash.workspace import person

COOKIE = "s2dash_who"
LONGEST_NAME = 200
LEAVE = """<script>
if (!window.s2dashLeaves) {
    window.s2dashLeaves = true;
    addEventListener('pagehide', () => sessionStorage.setItem(
        's2dash.left', JSON.stringify({ at: Date.now(), to: location.pathname + location.search })));
}
</script>"""
"""Notes in the tab what a visitor looked at when leaving for the provider, who sends people to the first page."""
RETURN = """<script>
{
    const kept = JSON.parse(sessionStorage.getItem('s2dash.left') || 'null');
    sessionStorage.removeItem('s2dash.left');
    const fresh = kept && Date.now() - kept.at < 15 * 60 * 1000;
    if (fresh && kept.to !== location.pathname + location.search) { location.replace(location.origin + kept.to); }
}
</script>"""
"""Shows that again to who comes back signed in."""


def configured() -> Mapping[str, Any]:
    """The table `[auth]` of the secrets; empty where nobody needs to sign in.

    Raises:
        SignInError: If there is a file of secrets that cannot be read: it might say that people have to sign in.
    """
    if not st.secrets.load_if_toml_exists():
        for path in st.get_option("secrets.files"):
            if Path(path).exists():
                raise SignInError(t("sign_in.unreadable", path=path))
        return {}
    found = st.secrets.get("auth", {})
    return found if isinstance(found, Mapping) else {}


def signed_in() -> Person:
    """Who sits at this browser, and whether they may write.

    Raises:
        SignInError: If the list of writers cannot be read.
    """
    if not configured():
        return person_of(None, writers=frozenset(), typed=str(st.session_state.get("who", remembered_name()) or ""))
    return person_of(st.user.to_dict(), writers=listed_writers(st.secrets, os.environ))


def may_write() -> bool:
    """Whether who sits here may change anything."""
    return signed_in().may_write


def who() -> str:
    """The name to write under; ask for it where something is written, inside `state.said`.

    Raises:
        NotAllowedError: If they may not write.
    """
    found = signed_in()
    if not found.may_write:
        raise NotAllowedError(t(f"sign_in.bar_{found.bar}"))
    return found.name or person()


def why_not() -> None:
    """Say in a line why nothing can be changed here; nothing where it can."""
    if bar := signed_in().bar:
        st.caption(f":material/lock: {t(f'sign_in.bar_{bar}')}")


def name_box() -> None:
    """Where a person types their name for the history; who signed in has one."""
    found = signed_in()
    if found.signed_in:
        st.caption(f":material/person: {t('sign_in.history_name', name=plain(found.name))}")
    elif found.may_write:
        state.seed("who", remembered_name())
        with st.container(gap=None):
            name = st.text_input(t("sign_in.your_name"), key="who", persist_state="session", placeholder=person())
            st.html(remember_script(name or ""), unsafe_allow_javascript=True)
    why_not()


def remembered_name() -> str:
    """The name that was typed in this browser before; whoever reloads a page is the same person."""
    kept = st.context.cookies.get(COOKIE)
    return unquote(kept)[:LONGEST_NAME] if isinstance(kept, str) else ""


def remember_script(name: str) -> str:
    """Has the browser remember a name; nothing vouches for it, as for one that is typed."""
    days = 90 if name else 0
    age = days * 24 * 3600
    return f"<script>document.cookie = '{COOKIE}={quote(name, safe='')}; max-age={age}; path=/; SameSite=Lax';</script>"


def sign_in_panel() -> None:
    """For the side bar: sign in, or who is signed in and a way out; nothing where no sign-in is configured."""
    auth = configured()
    if not auth:
        return
    found = signed_in()
    st.html(RETURN if found.signed_in else LEAVE, unsafe_allow_javascript=True)
    st.divider()
    if found.signed_in:
        st.caption(f":material/person: {t('sign_in.signed_in', name=plain(found.name))}")
        if found.bar:
            st.caption(t("sign_in.bar_reader"))
        st.button(t("sign_in.out"), icon=":material/logout:", on_click=st.logout, width="stretch")
        return
    for provider in providers(auth):
        label = t("sign_in.in") if provider is None else t("sign_in.in_with", provider=plain(provider.capitalize()))
        st.button(
            label,
            key=f"sign in {provider}",
            icon=":material/login:",
            on_click=_begin,
            args=(provider,),
            width="stretch",
        )
    st.caption(t("sign_in.invitation"))


def _begin(provider: str | None) -> None:
    """Go to the provider; says what is wrong where the configuration does not allow it."""
    with state.said(later=True):
        try:
            st.login(provider)
        except StreamlitFailure as error:
            raise SignInError(t("sign_in.broken", why=error)) from error
