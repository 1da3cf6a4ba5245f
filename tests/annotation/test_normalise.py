from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.normaliser import other_words, taken_for_a_class, typing_errors
from s2dash.annotation.normalise import LEAST_SIMILARITY, UNKNOWN, normalise
from s2dash.errors import SchemeError
from s2dash.schemes import ClassScheme, LandCoverClass, load_scheme

WORLDCOVER = load_scheme("worldcover")
SCHEMES = [load_scheme(name) for name in ("worldcover", "main", "nlcd4")]


def words_of(cls: LandCoverClass) -> list[str]:
    return [cls.key, *cls.names.values(), *(word for words in cls.synonyms.values() for word in words)]


EVERY_WORD = [(scheme, cls.code, word) for scheme in SCHEMES for cls in scheme.classes for word in words_of(cls)]


def test_every_word_of_every_scheme_names_its_own_class() -> None:
    """So no word belongs to two classes: it could not name both."""
    wrong = [(scheme.name, code, word) for scheme, code, word in EVERY_WORD if normalise(word, scheme).code != code]
    assert wrong == []


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_every_code_and_code_with_name_names_its_class(scheme: ClassScheme) -> None:
    for cls in scheme.classes:
        assert normalise(str(cls.code), scheme).how == "code"
        for term in (
            f"{cls.code}",
            f"class {cls.code}",
            f"Клас {cls.code}.",
            f"{cls.name} ({cls.code})",
            f"{cls.code}: {cls.key}",
        ):
            assert normalise(term, scheme).code == cls.code, term


@pytest.mark.parametrize("case", [str.upper, str.title, str.swapcase])
def test_case_does_not_matter(case: object) -> None:
    assert callable(case)
    assert all(normalise(case(word), scheme).code == code for scheme, code, word in EVERY_WORD)


def test_decomposed_letters_hyphens_and_punctuation_do_not_matter() -> None:
    for scheme, code, word in EVERY_WORD:
        assert normalise(unicodedata.normalize("NFD", word), scheme).code == code
        assert normalise(f'  "{word.replace(" ", "_")}".\n', scheme).code == code
        assert normalise(word.replace(" ", "-"), scheme).code == code


@pytest.mark.parametrize(
    ("term", "code", "how"),
    [
        ("Croplands", 40, "stem"),
        ("crop land", 40, "synonym"),
        ("cropland", 40, "key"),
        ("Tree cover", 10, "key"),
        ("Bare / sparse vegetation", 60, "name"),
        ("a dense forest", 10, "stem"),
        ("the wheat fields", 40, "stem"),
        ("lakes and rivers", 80, "stem"),
        ("Cropland, arable land", 40, "stem"),
        ("builtup areas", 50, "stem"),
        ("40.0", 40, "code"),
        ("４０", 40, "code"),
        ("ліс", 10, "synonym"),
        ("лісів", 10, "stem"),
        ("лісами", 10, "stem"),
        ("ріллею", 40, "stem"),
        ("орних земель", None, "unknown"),
        ("водоймами", 80, "stem"),
        ("водними обʼєктами", 80, "stem"),
        ("трав’яної рослинності", 30, "stem"),
        ("забудованих територій", 50, "stem"),
        ("буди́нки", 50, "synonym"),
        ("грунти", 60, "synonym"),
        ("мохами й лишайниками", 100, "stem"),
        ("густий ліс", 10, "stem"),
        ("код 80: річка", 80, "stem"),
    ],
)
def test_terms_as_people_and_models_write_them(term: str, code: int | None, how: str) -> None:
    found = normalise(term, WORLDCOVER)
    assert (found.code, found.how) == (code, how)


@pytest.mark.parametrize(
    "term",
    [
        None,
        "",
        "   ",
        "?!",
        "unknown",
        "невідомо",
        "mixed",
        "mixed forest and crops",
        "forest and water",
        "ліс і вода",
        "cropland/grassland",
        "agriculture/pasture",
        "water and land",
        "land / water",
        "not water",
        "no trees",
        "non-water",
        "forest without trees",
        "не ліс",
        "без дерев",
        "vegetation",
        "рослинність",
        "green area",
        "land",
        "agricultural land",
        "burnt forest",
        "dry lake",
        "forest?? or maybe crops",
        "cropland (50)",
        "water 10",
        "33",
        "40 50",
        "-40",
        "40 %",
        "40.5",
        "class",
        "cluster 999",
        "I'm sorry, but I cannot determine the land cover from this image.",
        "As a language model I see water here",
        "'; DROP TABLE answers; --",
    ],
)
def test_what_names_no_class_or_two_is_unknown(term: str | None) -> None:
    assert normalise(term, WORLDCOVER) == UNKNOWN


def test_the_same_word_may_be_clear_in_a_coarser_scheme() -> None:
    assert normalise("vegetation", load_scheme("main")).code == 2
    assert normalise("forest and grass", load_scheme("main")).code == 2
    assert normalise("agricultural land", load_scheme("nlcd4")).code == 8


@pytest.mark.parametrize("piece", ["а", "water ", "'", "\u0301", "not ", "1", "\U0001f30d"])
def test_ten_megabytes_are_unknown_at_once(piece: str) -> None:
    text = piece * (10_000_000 // len(piece))
    start = time.perf_counter()
    assert normalise(text, WORLDCOVER) == UNKNOWN
    assert time.perf_counter() - start < 0.5


def test_own_synonyms_go_before_the_schemes() -> None:
    assert normalise("Vegetation", WORLDCOVER, synonyms={"vegetation": 30}).code == 30
    assert normalise("the vegetations", WORLDCOVER, synonyms={"vegetation": 30}).code == 30
    assert normalise("pasture", WORLDCOVER, synonyms={"pasture": 40}).code == 40
    assert normalise("!!!", WORLDCOVER, synonyms={"...": 40}) == UNKNOWN


def test_own_synonym_outside_the_scheme_is_refused() -> None:
    with pytest.raises(SchemeError, match="33"):
        normalise("water", WORLDCOVER, synonyms={"vegetation": 33})


pieces = st.sampled_from(
    [word for _, _, word in EVERY_WORD] + ["and", "/", "not", "the", "40", "-", "і", "не", ",", "("]
)


@given(st.one_of(st.text(max_size=200), st.lists(pieces, max_size=6).map(" ".join), st.none()))
def test_any_text_gives_a_code_of_the_scheme_or_unknown(term: str | None) -> None:
    for scheme in SCHEMES:
        found = normalise(term, scheme)
        assert found.code is None or found.code in scheme
        assert (found.code is None) == (found.how == "unknown")


@given(st.sampled_from(EVERY_WORD), st.sampled_from(EVERY_WORD), st.sampled_from([" and ", "/", " or ", " + ", " та "]))
def test_two_classes_in_one_term_are_never_one(
    first: tuple[ClassScheme, int, str], second: tuple[ClassScheme, int, str], between: str
) -> None:
    scheme, code, word = first
    if second[0] is scheme and second[1] != code:
        assert normalise(f"{word}{between}{second[2]}", scheme).code is None


@given(st.sampled_from(EVERY_WORD), st.sampled_from(["not ", "no ", "without ", "не ", "немає "]))
def test_a_negated_class_is_never_named(known: tuple[ClassScheme, int, str], negation: str) -> None:
    scheme, _, word = known
    assert normalise(negation + word, scheme).code is None


@pytest.mark.parametrize(
    ("term", "code"),
    [
        ("croplnad", 40),
        ("Grasland", 30),
        ("the shrubbland areas", 20),
        ("decidous forest", 10),
        ("forest, decidous trees", 10),
        ("40: croplnad", 40),
        ("herbaceous wetlnads", 90),
        ("сільськогосподарскі поля", 40),
        ("чагарникк", 20),
    ],
)
def test_a_typing_error_in_a_long_word_is_forgiven(term: str, code: int) -> None:
    found = normalise(term, WORLDCOVER)
    assert (found.code, found.how) == (code, "fuzzy")
    assert normalise(term, WORLDCOVER, least=1.0) == UNKNOWN


@pytest.mark.parametrize(
    "term",
    [
        "undeveloped land",
        "deforested area",
        "vegetaion",
        "agricutural land",
        "not croplnad",
        "croplnad and water",
        "grasland/croplnad",
        "50: croplnad",
        "wasteland",
        "watr",
        "wetlnad",
        "croplnad grasslnad shrublnad",
    ],
)
def test_a_typing_error_is_never_forgiven_into_a_guess(term: str) -> None:
    assert normalise(term, WORLDCOVER) == UNKNOWN


def test_a_misspelt_own_synonym_is_understood_and_never_between_two() -> None:
    assert normalise("stepesland", WORLDCOVER, synonyms={"steppesland": 30}).how == "fuzzy"
    both = {"steppesland": 30, "sttepesland": 40}
    assert normalise("stepesland", WORLDCOVER, synonyms=both) == UNKNOWN


def test_misspelt_words_reach_their_class_or_none() -> None:
    """The bound that was measured still does what its text says; the benchmark prints the whole table."""
    asked, right, wrong = 0, 0, []
    for scheme in SCHEMES:
        for _, code, text in typing_errors(scheme, each=1, seed=1):
            found = normalise(text, scheme)
            asked += 1
            right += found.how == "fuzzy" and found.code == code
            if found.how == "fuzzy" and found.code != code:
                wrong.append((text, found))
    assert wrong == []
    assert right > 0.2 * asked


def test_words_that_only_look_like_a_class_are_none() -> None:
    taken = {
        word for scheme in SCHEMES for word in taken_for_a_class(list(other_words()), scheme, least=LEAST_SIMILARITY)
    }
    assert taken <= {"developer", "topical forest"}


def test_a_term_of_nothing_but_misspelt_words_takes_no_time() -> None:
    start = time.perf_counter()
    assert normalise("croplnad " * 13, WORLDCOVER) == UNKNOWN
    assert time.perf_counter() - start < 0.5
