"""From the word an annotator uses to a class of the scheme, or to "unknown"; never to a guess.

A term counts only when every word of it is accounted for: it names one class by code, key, name or synonym, in English
or Ukrainian, and what is left over are words that change nothing ("class", "the", "dense"). One word that is not known,
a negation, or two classes in one term make it unknown.

A word that is not known may be a known one misspelt: then it counts as that one, if it begins with the same letter
("undeveloped" is not "developed" misspelt), is at least `LEAST_SIMILARITY` like it, and every known word it is so like
leads to the same class. The bound was measured with `python benchmarks/normaliser.py`; measure it again when words or
rules change. Over 9,850 misspelt names and synonyms of all schemes the step understands 32 % of those with a letter
missing, 39 % doubled, 27 % swapped, 26 % mistaken and 7 % with two errors (without it 8, 0, 0, 2 and 3 %), and names a
wrong class for none that would be unknown without it. Of 253 words chosen because they look like a class and are none
it takes 2 for one ("developer", "topical forest"), of 40,000 drawn from an English and a Ukrainian word list 4. At 0.84
it would understand about 10 points more, and take 6 and 14.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

from s2dash.annotation.spelling import similar
from s2dash.errors import SchemeError
from s2dash.schemes import ClassScheme, load_scheme, scheme_names

How = Literal["code", "key", "name", "synonym", "stem", "fuzzy", "unknown"]

LONGEST_TERM = 120
"""Characters; a longer text is a story, not a term, and is not looked at."""
LONGEST_PHRASE = 6
"""Words in the longest phrase that is looked up; more than any synonym has."""
LEAST_SIMILARITY = 0.875
"""Share of a word's letters that have to be right: one error in eight letters."""
MOST_MISSPELT = 2
"""Words of one term that may be misspelt."""


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILLERS = _word_set(
    "a an the this is it class code category label type cover landcover land area areas region zone cluster surface"
    " surfaces answer mostly mainly predominantly dominantly likely probably dense mature healthy large small"
    " клас класу код категорія категорії тип мітка кластер це переважно здебільшого ймовірно"
    " густий густа густе густі щільний щільна щільне щільні великий велика велике великі малий мала мале малі"
    " територія території ділянка ділянки поверхня поверхні землі"
)
"""Words that leave a class what it is; alone they name none."""
_CONNECTORS = _word_set("and or with та і й або чи з із")
"""Words between two things; on each side of one a class has to be named, and the same."""
_SEPARATORS = dict.fromkeys(map(ord, "/&+;,|\\"), " and ")
_NEGATIONS = _word_set(
    "not no non without never neither nor except excluding isn t cannot but than"
    " не ні без немає нема крім окрім жодний жодної жодних"
)
"""Words after which the class named may be the one that is not there."""
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
_LETTERS: dict[int, str | None] = {**dict.fromkeys(map(ord, "'’ʼ‘`´ʹ′＇"), None), ord("ґ"): "г"}
"""Apostrophes go; ґ is often typed as г."""
_WORD = re.compile(r"[^\W_]+")
_NUMBER_OF_SOMETHING = re.compile(r"%|(?<!\w)-\d|\d[.,]\d*[1-9]|[<>≤≥=~≈]")
_PLAIN_FRACTION = re.compile(r"(\d)[.,]0+(?!\d)")
_CYRILLIC_MARKS = frozenset("\u0306\u0308")
"""The breve of й and the diaeresis of ї: parts of letters, not accents."""

_ENGLISH = re.compile(r"(?<=[a-z]{3})(?:(?<=[^aeiou])ies|(?<=s|x|z)es|(?<=ch|sh)es|(?<![sui])s)$")
_UKRAINIAN = re.compile(
    "(?<=[а-яіїє]{3})(?:іями|ією|іях|іям|ії|ія|ію|ього|ьому|ами|ями|ого|ому|ими|іми|ові|еві|єві|ій|ий|ої|ою|ею|єю|ах|ях|ам|ям|ом|ем|єм|им|ім|их|іх|ів|їв"
    "|[аяоеєиіїуюьй])$"
)


@dataclass(frozen=True)
class Normalised:
    """What a term means in a scheme."""

    code: int | None
    """Class code; None is "unknown"."""
    how: How
    """By what it was recognised: the number, the key, a name, a synonym, any of these after stemming or misspelt."""


UNKNOWN = Normalised(None, "unknown")
"""The answer to everything that does not name exactly one class."""


@dataclass(frozen=True)
class _Index:
    """The phrases of one scheme."""

    exact: Mapping[str, Normalised]
    """By the folded phrase; only phrases that belong to one class."""
    stems: Mapping[str, int]
    """Class code by the joined stems of a phrase; only stems that belong to one class."""
    words: frozenset[str]
    """Every word of every phrase."""


_indices: dict[int, tuple[ClassScheme, _Index]] = {}


def normalise(
    term: str | None,
    scheme: ClassScheme,
    *,
    synonyms: Mapping[str, int] | None = None,
    least: float = LEAST_SIMILARITY,
) -> Normalised:
    """The class a free-text term names.

    Case, accents, hyphens, punctuation, articles and plurals do not matter, nor do inflections of Ukrainian, nor a
    typing error in a long word.

    Args:
        term: For example `Cropland`, `arable lands`, `class 40`, `Cropland (40)`, `рілля`. None, an empty text and
            anything above `LONGEST_TERM` characters are unknown.
        scheme: The closed list of classes.
        synonyms: More words → class code, which go before the scheme's own.
        least: How like a known word an unknown one has to be to count as it misspelt, 0-1; 1 for never.

    Returns:
        The class, or unknown where the term names none, two, or says "not".

    Raises:
        SchemeError: If `synonyms` names a code that the scheme does not have.
    """
    index = _index(scheme)
    own: dict[str, int] = {}
    for word, code in (synonyms or {}).items():
        if code not in scheme:
            raise SchemeError(
                f"The synonym {word!r} stands for {code}, which {scheme.name!r} does not have: {scheme.codes}."
            )
        if _words(word):
            own[" ".join(_words(word))] = code
    if not term or len(term) > LONGEST_TERM:
        return UNKNOWN
    words = _words(term)
    phrase = " ".join(words)
    if phrase in own:
        return Normalised(own[phrase], "synonym")
    if phrase in index.exact:
        return index.exact[phrase]
    # NFKC brings digits of other scripts and widths to one form before a minus or a percent sign is looked for.
    text = _PLAIN_FRACTION.sub(r"\1", unicodedata.normalize("NFKC", term).translate(_DASHES))
    if _NUMBER_OF_SOMETHING.search(text) or _NEGATIONS.intersection(words):
        return UNKNOWN
    words = _words(text.translate(_SEPARATORS))
    numbers = {int(word) for word in words if word.isdecimal()}
    words = _without_loose_ends([word for word in words if not word.isdecimal()])
    if len(numbers) > 1 or any(number not in scheme for number in numbers):
        return UNKNOWN
    named = _named(words, index, own) or _named_misspelt(words, index, own, least)
    if named is None:
        return UNKNOWN
    if not numbers:
        return named
    code = numbers.pop()
    if named.code is None:
        return Normalised(code, "code")
    return named if named.code == code else UNKNOWN


def folded_term(text: str) -> str:
    """What all spellings of a phrase share: two phrases for which this is the same mean the same."""
    return _stem(_words(text))


def _named(words: list[str], index: _Index, own: Mapping[str, int]) -> Normalised | None:
    """The one class that the words name; with code None if all are fillers, None if that cannot be said."""
    phrase = " ".join(words)
    if phrase in own:
        return Normalised(own[phrase], "synonym")
    if phrase in index.exact:
        return index.exact[phrase]
    stems = {**index.stems, **{_stem(word.split()): code for word, code in own.items()}} if own else index.stems
    found: set[int] = set()
    start, nameless = 0, True
    while start < len(words):
        for stop in range(min(len(words), start + LONGEST_PHRASE), start, -1):
            span = words[start:stop]
            code = stems.get(_stem(span)) if len(span) == 1 or all(len(word) > 1 for word in span) else None
            if code is not None:
                found.add(code)
                start, nameless = stop, False
                break
        else:
            if words[start] in _CONNECTORS:
                if nameless:
                    return None
                nameless = True
            elif words[start] not in _FILLERS:
                return None
            start += 1
    if len(found) > 1 or (found and nameless):
        return None
    return Normalised(found.pop(), "stem") if found else UNKNOWN


def _named_misspelt(words: list[str], index: _Index, own: Mapping[str, int], least: float) -> Normalised | None:
    """The one class that the words name if those that are not known are known ones misspelt; None if there is none."""
    known = index.words | _words_of_all_schemes() | {word for phrase in own for word in phrase.split()}
    strange = [word for word in words if word not in known and _stem_word(word) not in index.stems]
    if not 1 <= len(strange) <= MOST_MISSPELT:
        return None
    likes = {
        word: [other for other in known if other[0] == word[0] and similar(word, other, least=least)]
        for word in strange
    }
    codes: set[int | None] = set()
    for meant in product(*(likes.get(word, [word]) for word in words)):
        named = None if _NEGATIONS.intersection(meant) else _named(list(meant), index, own)
        codes.add(None if named is None else named.code)
    code = codes.pop() if len(codes) == 1 else None
    return None if code is None else Normalised(code, "fuzzy")


def _without_loose_ends(words: list[str]) -> list[str]:
    """The words without connectors at either end, which a number beside them leaves behind."""
    while words and words[0] in _CONNECTORS:
        words = words[1:]
    while words and words[-1] in _CONNECTORS:
        words = words[:-1]
    return words


def _index(scheme: ClassScheme) -> _Index:
    # Schemes hold mappings and cannot be hashed; the scheme is kept beside its index so that its identity stays taken.
    kept = _indices.get(id(scheme))
    if kept is None:
        if len(_indices) >= 32:
            _indices.clear()
        kept = _indices[id(scheme)] = (scheme, _build_index(scheme))
    return kept[1]


def _build_index(scheme: ClassScheme) -> _Index:
    exact: dict[str, Normalised] = {}
    owners: dict[str, set[int]] = {}
    stem_owners: dict[str, set[int]] = {}
    for code, how, phrase in _phrases(scheme):
        words = _words(phrase)
        folded = " ".join(words)
        exact.setdefault(folded, Normalised(code, how))
        owners.setdefault(folded, set()).add(code)
        stem_owners.setdefault(_stem(words), set()).add(code)
    return _Index(
        exact={phrase: meaning for phrase, meaning in exact.items() if phrase and len(owners[phrase]) == 1},
        stems={stem: min(codes) for stem, codes in stem_owners.items() if stem and len(codes) == 1},
        words=frozenset(word for phrase in owners for word in phrase.split()),
    )


@cache
def _words_of_all_schemes() -> frozenset[str]:
    """Words that are spelt right whatever the scheme, and so are never another word misspelt."""
    words = (word for name in scheme_names() for word in _index(load_scheme(name)).words)
    return frozenset(words) | _FILLERS | _CONNECTORS | _NEGATIONS


def _phrases(scheme: ClassScheme) -> Iterator[tuple[int, How, str]]:
    for cls in scheme.classes:
        yield cls.code, "key", cls.key
    for cls in scheme.classes:
        yield from ((cls.code, "name", name) for name in cls.names.values())
    for cls in scheme.classes:
        yield from ((cls.code, "synonym", word) for words in cls.synonyms.values() for word in words)


def _words(text: str) -> list[str]:
    """Lower-case words without accents, apostrophes and punctuation."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    letters: list[str] = []
    cyrillic = False
    for char in unicodedata.normalize("NFD", text):
        if not unicodedata.combining(char):
            cyrillic = "\u0400" <= char <= "\u052f"
        elif not (cyrillic and char in _CYRILLIC_MARKS):
            continue
        letters.append(char)
    return _WORD.findall(unicodedata.normalize("NFC", "".join(letters)))


def _stem(words: list[str]) -> str:
    """Stems of the words, joined, so that "crop lands" and "cropland" meet."""
    return "".join(_stem_word(word) for word in words)


def _stem_word(word: str) -> str:
    if word[0].isascii():
        match = _ENGLISH.search(word)
        if match is None:
            return word
        return word[: match.start()] + ("y" if match.group() == "ies" else "")
    return re.sub("іст$", "ост", _UKRAINIAN.sub("", word))  # рослинність, рослинності
