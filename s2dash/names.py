"""Names that people type: which are refused, and how one becomes a file name.

A run or project name is shown, never used as a path; even so, a name that looks like a path is refused, because it
tells of a misunderstanding or of an attack. Where a file has to be called after such a text, `safe_name` makes the
name from an allow-list, so that what is not known to be harmless never gets through.
"""

from __future__ import annotations

import re
import unicodedata

from s2dash.errors import UnsafeNameError

MAX_FILE_NAME = 80
"""Most characters of a file name made by `safe_name`; leaves room for suffixes."""
MAX_FILE_NAME_BYTES = 200
"""Most UTF-8 bytes of it; Linux file systems end at 255."""
MAX_RUN_NAME = 200
"""Most characters of a run or project name."""

_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL"} | {f"{port}{n}" for port in ("COM", "LPT") for n in range(10)})
# Letters and marks by category that show nothing: two names that look alike would be two files.
_INVISIBLE = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0}) | {
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
# Characters that reorder or hide the text around them; joiners stay, several scripts need them.
_BIDI = frozenset({0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)})
_DRIVE = re.compile(r"[A-Za-z]:(?!\s)")


def safe_name(text: str, *, fallback: str = "unnamed") -> str:
    """A file or folder name made from a person's text.

    Letters of any script with their marks, decimal digits, and `.`, `_`, `-` inside are kept (NFC); a space becomes
    `_`; every run of anything else becomes one `_`. The result is one path component on Linux, macOS and Windows.

    Args:
        text: Anything.
        fallback: What to use where nothing is left; itself made safe.

    Returns:
        1 to 80 characters and at most 200 bytes in UTF-8; never `.` or `..`, no leading dot, no name that Windows
        reserves for a device. Making a safe name safe again changes nothing.
    """
    name = next(filter(None, map(_allowed, (text, fallback))), "unnamed")
    stem, dot, rest = name.partition(".")
    if stem.upper() not in _RESERVED:
        return name
    return _cut(f"{stem}_{dot}{rest}") if rest else f"{stem}_"


def check_run_name(text: str) -> str:
    """A run or project name as it will be kept, or a clear refusal.

    Any text that one line can show is a name; it is kept as data and never becomes a path. What looks like one is
    refused all the same.

    Args:
        text: What the person typed.

    Returns:
        The text in NFC without spaces around it.

    Raises:
        UnsafeNameError: If it is empty, too long, `.` or `..`, starts like a path, or holds `/`, a backslash, a
            control character, a line break or a character that reorders text; the message says which and where.
    """
    name = unicodedata.normalize("NFC", text)
    for place, char in enumerate(name, start=1):
        why = _refusal(char)
        if why:
            raise UnsafeNameError(
                f"The name {_short(name)} holds {_spell(char)} at character {place}: {why}. "
                f"Use letters, digits, spaces, '.', '_' or '-', for example {safe_name(name)!r}."
            )
    name = name.strip()
    if not name:
        raise UnsafeNameError("The name is empty. Type at least one letter or digit.")
    if len(name) > MAX_RUN_NAME:
        raise UnsafeNameError(
            f"The name {_short(name)} is too long: {len(name)} characters, at most {MAX_RUN_NAME}. Shorten it."
        )
    if name.strip(".") == "":
        raise UnsafeNameError(f"The name {name!r} means a folder, not a run. Type at least one letter or digit.")
    if name.startswith("~") or _DRIVE.match(name):
        raise UnsafeNameError(
            f"The name {_short(name)} starts with {_spell(name[0] if name[0] == '~' else ':')} like a path. "
            f"Leave that out, for example {safe_name(name)!r}."
        )
    return name


def _allowed(text: str) -> str:
    """What the allow-list leaves of a text; may be empty."""
    kept = "".join(char if _is_allowed(char) else "_" for char in unicodedata.normalize("NFC", text))
    # Runs of punctuation become one sign, which also ends every "..".
    kept = re.sub("[._-]{2,}", lambda run: next((sign for sign in run[0] if sign != "_"), "_"), kept)
    # A file name starts with a letter or digit, so that it is neither hidden nor taken for an option.
    start = next((i for i, char in enumerate(kept) if char not in "._-" and unicodedata.category(char)[0] != "M"), None)
    return "" if start is None else _cut(kept[start:])


def _cut(name: str) -> str:
    """At most as long as file systems hold, without punctuation at the end."""
    return name[:MAX_FILE_NAME].encode()[:MAX_FILE_NAME_BYTES].decode(errors="ignore").rstrip("._-")


def _is_allowed(char: str) -> bool:
    category = unicodedata.category(char)
    return (category[0] in "LM" or category == "Nd" or char in "._-") and ord(char) not in _INVISIBLE


def _refusal(char: str) -> str:
    """Why a character cannot be in a run name; empty where it can."""
    category = unicodedata.category(char)
    if char in "/\\":
        return "it separates folders"
    if category == "Cc":
        return "it is a control character"
    if category in {"Zl", "Zp"}:
        return "it breaks the line"
    if category == "Cs":
        return "it is half a character and cannot be stored"
    return "it reorders the text around it" if ord(char) in _BIDI else ""


def _spell(char: str) -> str:
    """A character so that one can see it."""
    shown = f"{char!r} " if char.isprintable() else ""
    return f"{shown}(U+{ord(char):04X} {unicodedata.name(char, 'NUL' if char == chr(0) else 'unnamed')})"


def _short(name: str) -> str:
    return ascii(name) if not name.isprintable() else repr(name if len(name) <= 40 else name[:40] + "…")
