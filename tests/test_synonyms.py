from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s2dash.annotation.normalise import normalise
from s2dash.errors import StoreError
from s2dash.schemes import load_scheme
from s2dash.store.store import Store

SCHEME = load_scheme("worldcover")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


def test_what_was_taught_is_understood(store: Store) -> None:
    assert normalise("swamp", SCHEME).code is None
    store.add_synonym(SCHEME, " swamp\n", 90, who="Olena")
    assert store.synonyms(SCHEME) == {"swamp": 90}
    assert normalise("Swamps", SCHEME, synonyms=store.synonyms(SCHEME)).code == 90


def test_it_is_there_when_the_workspace_is_opened_again(store: Store, tmp_path: Path) -> None:
    store.add_synonym(SCHEME, "солончак", 60, who="Olena")
    with Store.open(tmp_path) as again:
        assert again.synonyms(SCHEME) == {"солончак": 60}


def test_the_latest_word_counts_and_the_history_stays(store: Store) -> None:
    start = datetime.now(UTC)
    store.add_synonym(SCHEME, "Rangeland", 20, who="Olena")
    store.add_synonym(SCHEME, "swamp", 90, who="Olena")
    store.add_synonym(SCHEME, "rangeland", 30, who="Petro")
    assert list(store.synonyms(SCHEME).items()) == [("swamp", 90), ("rangeland", 30)]
    history = store.synonym_history(SCHEME)
    assert [(one.term, one.code, one.who) for one in history] == [
        ("Rangeland", 20, "Olena"),
        ("swamp", 90, "Olena"),
        ("rangeland", 30, "Petro"),
    ]
    assert start <= history[0].when <= history[2].when <= datetime.now(UTC)


def test_every_scheme_has_its_own(store: Store) -> None:
    main = load_scheme("main")
    store.add_synonym(SCHEME, "swamp", 90, who="Olena")
    store.add_synonym(main, "swamp", 2, who="Olena")
    assert (store.synonyms(SCHEME), store.synonyms(main)) == ({"swamp": 90}, {"swamp": 2})
    assert store.synonyms(load_scheme("nlcd4")) == {}


@pytest.mark.parametrize("term", ["Cropland", "croplands", "the CROPLAND", "рілля", "cropland (40)", "built_up"])
def test_the_name_of_another_class_is_refused(store: Store, term: str) -> None:
    with pytest.raises(StoreError, match="already is the name of"):
        store.add_synonym(SCHEME, term, 30, who="Olena")
    assert store.synonym_history(SCHEME) == ()


def test_the_own_name_and_a_word_that_came_with_the_scheme_may_be_taught(store: Store) -> None:
    store.add_synonym(SCHEME, "croplands", 40, who="Olena")
    store.add_synonym(SCHEME, "pasture", 40, who="Olena")
    assert normalise("pasture", SCHEME, synonyms=store.synonyms(SCHEME)).code == 40


@pytest.mark.parametrize("term", ["", "  ", "40", "?!", "long " * 30])
def test_what_is_no_word_is_refused(store: Store, term: str) -> None:
    with pytest.raises(StoreError, match="cannot become a synonym"):
        store.add_synonym(SCHEME, term, 40, who="Olena")


def test_a_class_there_is_not_and_a_secret_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no class 33.*80 Permanent water bodies"):
        store.add_synonym(SCHEME, "swamp", 33, who="Olena")
    with pytest.raises(StoreError, match="secret"):
        store.add_synonym(SCHEME, "https://x.example/?api_key=abcdef", 40, who="Olena")
    assert store.synonym_history(SCHEME) == ()


def test_odd_letters_are_kept_readable(store: Store) -> None:
    store.add_synonym(SCHEME, "swa\0mp \ud800", 90, who="\ud800")
    assert store.synonym_history(SCHEME)[0].code == 90


def test_nothing_is_lost_when_many_teach_at_once(store: Store) -> None:
    words = [f"word{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda word: store.add_synonym(SCHEME, word, 40, who="Olena"), words))
    assert store.synonyms(SCHEME) == dict.fromkeys(words, 40)
    assert len(store.synonym_history(SCHEME)) == len(words)
