"""Files that people name or send through the browser."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from s2dash.errors import OutputError, S2DashError
from s2dash.names import safe_name

_MIB = 1 << 20


class Upload(Protocol):
    """A file as Streamlit hands it over."""

    name: str

    def getbuffer(self) -> memoryview:
        """Its bytes."""


def locate(choice: str | Upload | None, *, uploads: Path) -> str:
    """Where a file is that a person named or sent; empty for none.

    Raises:
        S2DashError: If there can be no such path, or an upload cannot be kept.
    """
    if choice is None or isinstance(choice, str):
        return person_path(choice or "")
    return str(keep_upload(uploads, choice.name, choice.getbuffer()))


def person_path(text: str) -> str:
    """A path as a person types it, made absolute, with `~` spelled out.

    Raises:
        S2DashError: If no file can be called so. An empty text stays empty.
    """
    if not text.isprintable():
        raise S2DashError(f"The path {text[:80]!a} holds characters that cannot be seen. Type it again.")
    if not text.strip():
        return ""
    try:
        return str(Path(text.strip()).expanduser().absolute())
    except RuntimeError as error:
        raise S2DashError(f"The home folder in {text[:80]} is not known. Give the full path.") from error


def keep_upload(folder: Path, name: str, content: bytes | memoryview) -> Path:
    """Write an uploaded file into the workspace, so that its runs can be opened again.

    The same file is not written twice, and another of the same name replaces none.

    Args:
        folder: Where uploads are kept.
        name: What the person's file is called.
        content: Its bytes.

    Returns:
        Where it is now.

    Raises:
        OutputError: If it cannot be written.
    """
    view = memoryview(content)
    path = folder / hashlib.sha256(view).hexdigest()[:16] / safe_name(name)
    if path.is_file() and path.stat().st_size == view.nbytes:
        return path
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            for start in range(0, view.nbytes, 64 * _MIB):
                file.write(view[start : start + 64 * _MIB])
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"The upload {name} cannot be kept in {folder}: {error.strerror}. Free some space, or give the path of the "
            "file under *Path*."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()
    return path
