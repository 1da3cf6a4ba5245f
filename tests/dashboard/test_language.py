"""Every text of the interface is in one place, in both languages, and used."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from babel import Locale

from s2dash.dashboard.language import LANGUAGES, texts

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "pages").rglob("*.py"))
SPEAKING = [ROOT / "app.py", *PAGES, *sorted((ROOT / "s2dash" / "dashboard").rglob("*.py"))]
"""Where texts are asked for."""
OTHERS = [name for name in LANGUAGES if name != "en"]
SAME = re.compile(
    r"(GeoJSON|GeoPackage|KML|JSON|CSV|PNG|SVG|URL|RGB|TIFF|Macro-F1|F1|mIoU|IoU|K|N|US\$|Sentinel-2|\W|\d)*"
)
"""What is the same in every language: names of formats, units and figures, and signs."""
SAME_KEYS = frozenset[str]()
"""Texts that are the same in both languages for another reason: proper names."""
WORDS = re.compile(r"[^\W\d_]")
FOR_NO_ONE = re.compile(
    r":material/\w+:|:\w+-badge\[|:(?:red|gray|green|orange|blue|violet)\[|&\w+;|<[^>]*>"  # what becomes a sign
    r"|https?://\S*|(?:/[\w.]+)+|\bB\d[\dA]\b|\"\w+\":|\b(?:km|ha|px|m|K|UTC|s2dash)\b"  # the same in all languages
)
"""Parts of a text that need no translation: icons, colours, tags; addresses, files, bands, JSON, units."""
TEXT_OPTIONS = ("label", "help", "placeholder", "body", "text", "caption", "title", "alt")
"""Options of Streamlit's calls whose value a person reads."""
ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "title header subheader caption markdown write text info warning error success toast button download_button "
        "link_button checkbox toggle radio selectbox multiselect slider select_slider text_input text_area "
        "number_input date_input file_uploader pills segmented_control metric expander popover spinner progress tabs "
        "status dialog data_editor color_picker menu_button chat_input",
    )
)
"""Streamlit's calls whose first argument a person reads."""


@cache
def asked(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys that a file asks for, and what those look like that it puts together."""
    keys, patterns = [], []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t" and node.args:
            key = node.args[0]
            if isinstance(key, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else r"\w+" for part in key.values]
                patterns.append("".join(parts).replace(".", r"\."))
            else:
                keys += [part.value for part in ast.walk(key) if _is_key(part)]
    return tuple(keys), tuple(patterns)


def _is_key(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(re.fullmatch(r"\w+\.\w+", node.value))
    )


def mentioned() -> set[str]:
    """Keys written anywhere in the code, also where they are handed on to be asked for."""
    found: set[str] = set()
    for path in SPEAKING:
        found |= {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if _is_key(node)}
    return found


def forms(text: str | Mapping[str, str]) -> Mapping[str, str]:
    return {"": text} if isinstance(text, str) else text


def places(text: str) -> set[str]:
    return {name.split(".")[0].split("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("path", SPEAKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_that_is_asked_for_is_written(path):
    known = texts("en")
    keys, patterns = asked(path)
    assert not [key for key in keys if key not in known]
    assert not [pattern for pattern in patterns if not any(re.fullmatch(pattern, key) for key in known)]
    assert all("\\." in pattern for pattern in patterns), "say at least the file, or the name, of a key"


def test_no_text_is_written_for_nobody():
    used = mentioned()
    patterns = [pattern for path in SPEAKING for pattern in asked(path)[1]]
    unused = [key for key in texts("en") if key not in used]
    assert not [key for key in unused if not any(re.fullmatch(pattern, key) for pattern in patterns)]


@pytest.mark.parametrize("other", OTHERS)
def test_both_languages_say_the_same_things(other):
    first, second = texts("en"), texts(other)
    assert sorted(first) == sorted(second)
    for key, text in first.items():
        said = {tuple(sorted(places(form))) for form in forms(text).values()}
        wanted = set().union(*map(set, said))
        for category, form in forms(second[key]).items():
            assert places(form) <= wanted | {"count"}, f"{key} {category}"
        assert set().union(*(places(form) for form in forms(second[key]).values())) >= wanted - {"count"}, key


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_plurals_have_the_categories_of_their_language(spoken):
    categories = {*Locale(spoken).plural_form.rules, "other"}
    for key, text in texts(spoken).items():
        if not isinstance(text, str):
            assert set(text) == categories, key
            assert isinstance(texts("en")[key], dict), key


@pytest.mark.parametrize("other", OTHERS)
def test_everything_is_translated(other):
    first, second = texts("en"), texts(other)
    same = [
        key
        for key in first
        for form in forms(second[key]).values()
        if form in forms(first[key]).values() and not SAME.fullmatch(re.sub(r"\{[^}]*\}", "", form))
    ]
    assert not sorted(set(same) - SAME_KEYS)


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_texts_are_clean(spoken):
    for key, text in texts(spoken).items():
        for form in forms(text).values():
            assert form.strip(), key
            assert "  " not in form.replace("  \n", ""), key
            assert not re.search(r"[ыэъё]", form) or spoken != "uk", f"{key} has a letter that Ukrainian does not have"


@pytest.mark.parametrize("path", [ROOT / "app.py", *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_write_no_text_themselves(path):
    assert not list(_written(path))


def _written(path: Path) -> Iterator[str]:
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            continue
        readable = [option.value for option in call.keywords if option.arg in TEXT_OPTIONS]
        if call.func.attr in ELEMENTS:
            readable += call.args[:1]
        elif not readable or call.func.attr in ("Page", "set_page_config", "open", "compare", "start"):
            continue
        for value in readable:
            for text in _literals(value):
                if WORDS.search(text):
                    yield f"line {call.lineno}: {call.func.attr}({text!r})"


def _literals(value: ast.AST) -> Iterator[str]:
    """Texts in an argument that a person would read as they stand; icons, colours and units aside."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield FOR_NO_ONE.sub("", value.value)
    elif isinstance(value, ast.JoinedStr):
        for part in value.values:
            if isinstance(part, ast.Constant):
                yield from _literals(part)
    elif isinstance(value, ast.List | ast.Tuple):
        for item in value.elts:
            yield from _literals(item)
    elif isinstance(value, ast.IfExp):
        yield from _literals(value.body)
        yield from _literals(value.orelse)
    elif isinstance(value, ast.BinOp):
        yield from _literals(value.left)
        yield from _literals(value.right)
