"""Names typed by people never leave a folder."""

from __future__ import annotations

import ntpath
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.errors import StoreError, UnsafeNameError
from s2dash.names import MAX_FILE_NAME, MAX_FILE_NAME_BYTES, MAX_RUN_NAME, check_run_name, safe_name

ATTACKS = [
    "../x",
    "../../etc/passwd",
    "..\\x",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "C:\\Windows\\x",
    "C:x",
    "\\\\server\\share",
    "~root/x",
    "~",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "abc\u202egnp.exe",
    "\ud800",
    ".",
    "..",
    "...",
    "",
    "   ",
    "\u3000",
    "x" * (MAX_RUN_NAME + 1),
]

any_text = st.text(st.characters(), max_size=300)
nasty_text = st.lists(
    st.sampled_from(
        [
            "..",
            ".",
            "/",
            "\\",
            "\0",
            "CON",
            "nul",
            "COM1",
            "_",
            "-",
            " ",
            "\u0301",
            "й",
            "𐌰",
            "字",
            "a",
            "~",
            ":",
            "\ud800",
            "⁄",
            "․",
        ]
    ),
    max_size=120,
).map("".join)


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_a_name_like_a_path_is_refused(attack: str) -> None:
    with pytest.raises(UnsafeNameError):
        check_run_name(attack)


@pytest.mark.parametrize("attack", ATTACKS, ids=ascii)
def test_the_file_name_made_of_an_attack_stays_in_the_folder(attack: str, tmp_path: Path) -> None:
    target = tmp_path / safe_name(attack)
    target.write_text("x")
    assert [item.name for item in tmp_path.iterdir()] == [target.name]
    assert target.resolve().parent == tmp_path.resolve()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a/b", "'/' (U+002F SOLIDUS) at character 2"),
        ("a\\b", "(U+005C REVERSE SOLIDUS) at character 2"),
        ("ab\0", "(U+0000 NUL) at character 3"),
        ("abc\u202egnp", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("x" * 500, "500 characters"),
        ("C:x", "like a path"),
    ],
    ids=ascii,
)
def test_the_refusal_says_what_is_wrong(name: str, said: str) -> None:
    with pytest.raises(UnsafeNameError) as caught:
        check_run_name(name)
    message = str(caught.value)
    assert said in message
    assert all(char.isprintable() for char in message)
    assert len(message) < 300
    assert isinstance(caught.value, StoreError)


@pytest.mark.parametrize(
    "name",
    [
        "Poland, May 2021",
        "Дніпро – весна",
        "森林",
        "می‌خواهم",
        "a..b",
        "12:30 (second try)",
        "K = 12, 80 %",
        "...and more",
    ],
)
def test_an_ordinary_name_is_kept(name: str) -> None:
    assert check_run_name(name) == name


def test_a_run_name_is_normalised_and_trimmed() -> None:
    assert check_run_name("  e\u0301te\u0301 ") == "été"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Poland 2021", "Poland_2021"),
        ("Дніпро, весна", "Дніпро_весна"),
        ("हिन्दी", "हिन्दी"),
        ("e\u0301te\u0301", "été"),
        ("a..b", "a.b"),
        ("a - b", "a-b"),
        ("../../x", "x"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("run.", "run"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("con", "con_"),
        ("NUL.tif", "NUL_.tif"),
        ("Com1.a.b", "Com1_.a.b"),
        ("COM10", "COM10"),
        ("a／b", "a_b"),
        ("a\u200bb", "a_b"),
        ("CON" + "." * 76 + "x", "CON_.x"),
    ],
    ids=ascii,
)
def test_safe_name_examples(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_the_fallback_is_made_safe_too() -> None:
    assert safe_name("///", fallback="../run") == "run"
    assert safe_name("///", fallback="..") == "unnamed"


@given(any_text | nasty_text)
def test_a_safe_name_is_one_harmless_path_component(text: str) -> None:
    name = safe_name(text)
    assert 1 <= len(name) <= MAX_FILE_NAME
    assert len(name.encode("utf-8")) <= MAX_FILE_NAME_BYTES
    assert not any(char in name for char in '/\\:*?"<>|\0')
    assert name.isprintable()
    assert name not in {".", ".."}
    assert name[0] not in ".-~ "
    assert name[-1] not in ". "
    assert ".." not in name
    assert unicodedata.is_normalized("NFC", name)
    assert Path(name).parts == (name,)
    assert Path("/w/runs", name).parent == Path("/w/runs")
    assert ntpath.normpath(ntpath.join("C:\\w", name)) == "C:\\w\\" + name
    assert not ntpath.isreserved(name) if hasattr(ntpath, "isreserved") else True
    assert name.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}


@given(any_text | nasty_text)
def test_making_a_name_safe_twice_changes_nothing(text: str) -> None:
    name = safe_name(text)
    assert safe_name(name) == name


@given(any_text | nasty_text)
def test_a_run_name_is_either_refused_or_one_plain_line(text: str) -> None:
    try:
        name = check_run_name(text)
    except UnsafeNameError as refusal:
        said = str(refusal)
        name = ""
    else:
        said = ""
    if said:
        assert said.isprintable()
        return
    assert name.strip() == name != ""
    assert "/" not in name
    assert "\\" not in name
    assert len(name.splitlines()) == 1
    assert check_run_name(name) == name
    name.encode("utf-8")
