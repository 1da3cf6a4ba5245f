"""Classes renamed, recoloured, defined anew and added: what becomes of a scheme."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.annotation.answer import Answer
from s2dash.annotation.colour_words import colour_words
from s2dash.annotation.legend import build_legend
from s2dash.annotation.normalise import normalise
from s2dash.errors import SchemeError
from s2dash.map_edit import MapEdit
from s2dash.scheme_edits import (
    LONGEST_NAME,
    checked_class_edit,
    codes_used,
    edited_scheme,
    free_code,
    name_owner,
    uses,
)
from s2dash.schemes import load_scheme, scheme_names, scheme_with_edits

SCHEME = load_scheme("worldcover")
GREENHOUSE = {"op": "add", "names": {"en": "Greenhouse", "uk": "Теплиця"}, "colour": "#12ab34", "counts_as": 50}


def legend_of(scheme=SCHEME, answers=()):
    return build_legend(list(answers), scheme=scheme, clusters=[1, 2, 3])


class Book:
    """A run's edits, kept as the store keeps them."""

    def __init__(self):
        self.edits = ()
        self.legend = legend_of()

    def do(self, content, kind="class"):
        checked = checked_class_edit(MapEdit(kind, content, who="Ada"), self.legend, self.edits)
        kept = replace(checked, seq=len(self.edits) + 1)
        self.edits = (*self.edits, kept)
        # As `KeptRuns.open_run` does it: first with every class, then without those that nothing uses.
        every = replace(self.legend, scheme=edited_scheme(SCHEME, self.edits))
        used = codes_used(every, self.edits)
        self.legend = replace(every, scheme=edited_scheme(SCHEME, self.edits, used=used))
        return kept

    @property
    def scheme(self):
        return self.legend.scheme


@pytest.fixture
def book():
    return Book()


def test_a_scheme_that_nobody_edited_is_itself():
    assert edited_scheme(SCHEME, ()) is SCHEME
    assert edited_scheme(SCHEME, (MapEdit("area", {"code": 10}, seq=1),)) is SCHEME
    assert SCHEME.edits_json() == {}


def test_a_class_is_renamed_in_one_language_and_what_it_was_called_still_names_it(book):
    book.do({"op": "rename", "code": 50, "names": {"en": "Town"}})
    cls = book.scheme[50]
    assert (cls.name, cls.names["uk"], cls.key, cls.code) == ("Town", "Забудова", "built_up", 50)
    for word in ("town", "Built-up", "built_up", "забудова", "houses"):
        assert normalise(word, book.scheme).code == 50
    assert book.scheme.codes == SCHEME.codes


def test_the_same_edits_give_the_same_object_so_that_nothing_is_indexed_twice(book):
    book.do(GREENHOUSE)
    assert edited_scheme(SCHEME, book.edits) is edited_scheme(SCHEME, tuple(book.edits))


def test_a_new_class_gets_a_code_of_its_own_and_takes_its_word_from_the_class_that_had_it(book):
    assert normalise("greenhouses", SCHEME).code == 50  # a synonym of built-up so far
    kept = book.do(GREENHOUSE)
    cls = book.scheme[kept.content["code"]]
    assert kept.content["code"] == 101
    assert (cls.name, cls.names["uk"], cls.key, cls.colour) == ("Greenhouse", "Теплиця", "glasshouse", "#12AB34")
    assert (cls.added, cls.counts_as, book.scheme.counted_as) == (True, 50, {101: 50})
    for word in ("greenhouse", "Greenhouses", "теплиці", "101", "class 101"):
        assert normalise(word, book.scheme).code == 101, word
    assert normalise("rooftops", book.scheme).code == 50
    assert not colour_words(cls.key)  # models see it
    assert book.scheme.counted_table[101] == 50
    assert book.scheme.counted_table[10] == 10


@pytest.mark.parametrize(
    ("name", "clash"),
    [("Tree cover", True), ("  tree   COVER ", True), ("built_up", True), ("Деревна рослинність", True),
     ("forest", False), ("Solar farm", None)],
)  # fmt: skip
def test_a_name_belongs_to_one_class(book, name, clash):
    owner = name_owner(name, SCHEME)
    assert (owner and owner[1]) == clash
    content = {"op": "add", "names": {"en": name}, "colour": "#123456"}
    if clash:
        with pytest.raises(SchemeError, match="already the name of the class"):
            book.do(content)
        with pytest.raises(SchemeError, match="already the name"):
            book.do({"op": "rename", "code": 80, "names": {"uk": name}})
    else:
        assert book.do(content).content["names"]["uk"] == " ".join(name.split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"op": "add", "names": {"en": ""}, "colour": "#123456"}, "at least one letter"),
        ({"op": "add", "names": {"en": "–– 12"}, "colour": "#123456"}, "at least one letter"),
        ({"op": "add", "names": {"en": "x" * (LONGEST_NAME + 1)}, "colour": "#123456"}, "at most 60"),
        ({"op": "add", "names": {"en": "Unknown"}, "colour": "#123456"}, "already says"),
        ({"op": "add", "names": {"en": "Vine"}, "colour": "green"}, "#RRGGBB"),
        ({"op": "add", "names": {"en": "Vine"}, "colour": '#12345"'}, "#RRGGBB"),
        ({"op": "add", "names": {"en": "Vine"}, "colour": "#123456", "counts_as": 11}, "count as"),
        ({"op": "add", "names": {"en": "Vine"}, "colour": "#123456", "code": 255}, "255"),
        ({"op": "add", "names": {"en": "Vine"}, "colour": "#123456", "code": 10}, "10"),
        ({"op": "rename", "code": 11, "names": {"en": "Vine"}}, "no class 11"),
        ({"op": "recolour", "code": 10, "colour": "#12345"}, "#RRGGBB"),
        ({"op": "define", "code": 10, "definitions": {"en": "x" * 401}}, "401"),
        ({"op": "paint", "code": 10}, "paint"),
    ],
)
def test_what_makes_no_class_is_refused(book, content, words):
    with pytest.raises(SchemeError, match=words):
        book.do(content)
    assert not book.edits


def test_what_was_added_can_be_changed_and_taken_back_and_comes_back(book):
    added = book.do(GREENHOUSE)
    code = added.content["code"]
    book.do({"op": "rename", "code": code, "names": {"en": "Glasshouse"}})
    recolour = book.do({"op": "recolour", "code": code, "colour": "#AABBCC"})
    book.do({"op": "define", "code": code, "definitions": {"en": "Under glass."}})
    cls = book.scheme[code]
    assert (cls.name, cls.colour, cls.definitions["en"]) == ("Glasshouse", "#AABBCC", "Under glass.")
    book.do({"seq": recolour.seq}, kind="withdraw")
    assert book.scheme[code].colour == "#12AB34"
    book.do({"seq": added.seq}, kind="withdraw")
    assert code not in book.scheme
    assert book.scheme.knows(code)  # the history names it
    assert book.scheme[code].name == "Glasshouse"
    assert normalise("greenhouse", book.scheme).code == 50  # the word went back
    book.do({"seq": added.seq}, kind="restore")
    assert code in book.scheme


def test_a_code_is_never_used_again(book):
    first = book.do(GREENHOUSE)
    book.do({"seq": first.seq}, kind="withdraw")
    second = book.do(GREENHOUSE)
    assert second.content["code"] != first.content["code"]
    assert second.content["word"] != first.content["word"]
    with pytest.raises(SchemeError, match="same name"):
        book.do({"seq": first.seq}, kind="restore")


@pytest.mark.parametrize("name", scheme_names())
def test_free_codes_are_free_until_none_is_left(name):
    scheme = load_scheme(name)
    edits: tuple[MapEdit, ...] = ()
    found = []
    for seq in range(254 - len(scheme.codes)):
        code = free_code(scheme, edits)
        found.append(code)
        edits = (*edits, MapEdit("class", {"op": "add", "code": code}, seq=seq + 1))
    assert len({*found, *scheme.codes}) == 254
    assert {*found, *scheme.codes} == set(range(1, 255))
    with pytest.raises(SchemeError, match="no other can be added"):
        free_code(scheme, edits)


def test_a_class_in_use_is_not_taken_back_and_it_is_said_where(book):
    added = book.do(GREENHOUSE)
    code = added.content["code"]
    book.legend = book.legend.override(2, code, who="Olena")
    with pytest.raises(SchemeError, match="Olena set cluster 2 to it"):
        book.do({"seq": added.seq}, kind="withdraw")
    book.legend = book.legend.undo(who="Olena")
    book.do({"seq": added.seq}, kind="withdraw")
    # Redone by somebody who had the page open: the class is in use, so it is there again.
    book.legend = book.legend.redo(who="Petro")
    used = codes_used(replace(book.legend, scheme=edited_scheme(SCHEME, book.edits)), book.edits)
    assert code in edited_scheme(SCHEME, book.edits, used=used)


def test_answers_areas_and_points_are_uses_until_taken_back(book):
    added = book.do(GREENHOUSE)
    code = added.content["code"]
    said = Answer(annotator="eye", cluster=3, code=10, second=code, confidence=0.5, card="c", prompt="p", model="m")
    legend = legend_of(book.scheme, [said])
    assert [use.text for use in uses(legend, book.edits, code)] == ["eye answered it for cluster 3"]
    book.edits = (
        *book.edits,
        MapEdit("area", {"code": code}, who="Ada", seq=2),
        MapEdit("point", {"longitude": 24.0, "latitude": 49.8, "code": code}, who="Ada", seq=3),
    )
    assert {use.where for use in uses(book.legend, book.edits, code)} == {"area", "point"}
    book.edits = (*book.edits, MapEdit("withdraw", {"seq": 2}, seq=4), MapEdit("withdraw", {"seq": 3}, seq=5))
    assert not uses(book.legend, book.edits, code)
    assert uses(book.legend, book.edits, 10) == ()


def test_a_rename_is_taken_back_unless_the_name_has_gone(book):
    renamed = book.do({"op": "rename", "code": 50, "names": {"en": "Town"}})
    book.do({"seq": renamed.seq}, kind="withdraw")
    assert book.scheme[50].name == "Built-up"
    with pytest.raises(SchemeError, match="taken back already"):
        book.do({"seq": renamed.seq}, kind="withdraw")
    book.do({"op": "add", "names": {"en": "Town"}, "colour": "#123456"})
    with pytest.raises(SchemeError, match="same name"):
        book.do({"seq": renamed.seq}, kind="restore")
    with pytest.raises(SchemeError, match="no change numbered 99"):
        book.do({"seq": 99}, kind="withdraw")


def test_an_edited_scheme_goes_through_json(book):
    first = book.do(GREENHOUSE)
    book.do({"op": "rename", "code": 10, "names": {"en": "Woods", "uk": "Ліси і гаї"}})
    book.do({"op": "add", "names": {"uk": "Сад"}, "colour": "#445566"})
    book.do({"seq": first.seq}, kind="withdraw")
    content = book.scheme.edits_json()
    assert scheme_with_edits("worldcover", content) == book.scheme
    assert {row["code"] for row in content["classes"]} == {10, 102}
    assert scheme_with_edits("worldcover", {}) is SCHEME


WORDS = st.text(min_size=1, max_size=20)
CODES = st.sampled_from([10, 50, 101, 102])
STEPS = st.lists(
    st.one_of(
        st.builds(lambda name: {"op": "add", "names": {"en": name}, "colour": "#123456"}, WORDS),
        st.builds(lambda code, name: {"op": "rename", "code": code, "names": {"uk": name}}, CODES, WORDS),
        st.builds(lambda code: {"op": "recolour", "code": code, "colour": "#00FF00"}, st.sampled_from([10, 101])),
        st.builds(lambda seq, back: {"seq": seq, "back": back}, st.integers(0, 8), st.booleans()),
    ),
    max_size=8,
)  # fmt: skip


@given(STEPS)
def test_whatever_people_do_every_class_has_one_code_one_key_and_a_name_of_its_own(steps):
    book = Book()
    for content in steps:
        try:
            if "seq" in content:
                book.do({"seq": content["seq"]}, kind="restore" if content["back"] else "withdraw")
            else:
                book.do(content)
        except SchemeError:
            continue
    scheme = book.scheme
    assert len(set(scheme.codes)) == len(scheme.codes)
    assert len({cls.key for cls in (*scheme.classes, *scheme.retired)}) == len(scheme.classes) + len(scheme.retired)
    assert set(SCHEME.codes) <= set(scheme.codes)
    for cls in scheme.classes:
        assert set(cls.names) == set(cls.definitions) == {"en", "uk"}
        for name in cls.names.values():
            assert name_owner(name, scheme, code=cls.code) is None
            assert 1 <= len(name) <= LONGEST_NAME
    assert scheme_with_edits("worldcover", scheme.edits_json()) == scheme
