"""How many misspelt words the normaliser understands, and how many other words it takes for a class.

    python benchmarks/normaliser.py [--each 4] [--seed 0] [--words FILE …] [--most 20000]

Every name and synonym of every scheme gets typing errors of five kinds, from a seed; words that mean something else
come from the list below and from the word lists given (one word a line, such as /usr/share/dict/words). For several
bounds of similarity the table says how many misspelt words reach their class, how many reach a wrong one, and how many
other words become a class; the bound 1 is the normaliser without the fuzzy step. `LEAST_SIMILARITY` is the bound at
which the last columns are as good as nothing: a wrong class costs more than an answer that a person has to read.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from s2dash.annotation.normalise import LEAST_SIMILARITY, normalise
from s2dash.schemes import ClassScheme, load_scheme, scheme_names

KINDS = ("missing", "doubled", "transposed", "mistaken", "two")
"""One letter left out, typed twice, swapped with its neighbour, or another in its place; and two of these."""
BOUNDS = (0.75, 0.8, 0.84, 0.875, 0.9, 0.95, 1.0)

OTHER_WORDS = """
beech|dessert|steam|screen|health|island|wasteland|parkland|farmhouse|farmyard|greenbelt|forestry|forester|waterfall
watershed|water tower|snowmobile|icefall|sandstone|sandpit|cropper|developer|harvester|topical forest|presidential area
deforested area|deforestation|reforestation|undeveloped land|uncultivated land|unplanted|unbuilt|pervious surface
impervious to light|permeable surface|subsoil|treeless|grassless|waterless|snowless|ice-free|landslide|lava|lava flow
burn scar|burnt area|burned forest|fire|smoke|cloud|clouds|cloud shadow|shadow|haze|fog|glint|no data|nothing|undefined
image|satellite|pixel|pixels|border|boundary|texture|pattern|stripes|noise|artefact|mixture|mosaic|transition|edge
rangeland|park|garden|golf course|cemetery|solar farm|solar panels|photovoltaic|wind farm|vineyards and roads|tundra
swamp|mudflat|tidal flat|salt pan|saline|gravestone|travel|posture|pastor|meadowlark|marshal|march|masses|kitchen
factor|fraction|liver|rivet|driver|sewer|seam|stream bed sediment|sediment|settle|cement|concept|contract|discrete
secrete|burden|biding|bonding|bundling|holding|road map|toad|load|broad|street light|railing|airplane|apart|runaway
village idiot|pillage|silage|tillage|cottage|storage|fielder|shielded|yielded|gilded|crops of rock|cross|creeps|drops
what|heat|maze|amazed|ice cream|rice pudding|dice|mice|moose|mouse|missing|lichee|mango|mangoes|manhole|mandrake
shrug|shrugs|strub|scribe|scrubbing|brush|brushed|ambush|ambushed|dessert field|deserted village|dust|rust|custom
буква|ліст|листя|лист|лисиця|листопад|водій|воднева|водночас|водоспад|водолаз|водопровід|наводнення|безводдя|безлісся
полювання|польовий|половина|поліно|полиця|болотник|болонка|болід|лугавий|лукавий|лучник|травма|травень|кущовий гриб
чагарі|озеленення|озера немає|ріцина|рікша|морква|морозиво|містик|мостити|сельодка|селянин|забутий|забудькуватий|будяк
будень|дорогий|дорослий|дахівка|снігур|снідання|льодяник|пісня|пісний|скельце|складка|камера|каміння дороге|каміон
мохер|лишай|мангуст|мангал|мантра|хмара|хмари|тінь|дим|пожежа|вигоріла ділянка|невизначено|шум|межа|суміш|невідоме
незабудована територія|неорані землі|незасіяне поле|невкрита лісом|вирубка|зруб|згарище|сонячна електростанція
"""
"""Words that name no class of any scheme, or not alone: other surfaces, opposites, words spelt almost like a class."""


def other_words() -> tuple[str, ...]:
    """`OTHER_WORDS`, one by one."""
    return tuple(word for line in OTHER_WORDS.split("\n") for word in line.split("|") if word)


def misspelt(text: str, kind: str, rng: random.Random) -> str:
    """The text with a typing error of this kind."""
    if kind == "two":
        for _ in range(2):
            text = misspelt(text, rng.choice(KINDS[:4]), rng)
        return text
    places = [place for place, letter in enumerate(text) if letter.isalpha()]
    if kind == "transposed":
        places = [
            place
            for place in places
            if place + 1 < len(text) and text[place + 1].isalpha() and text[place] != text[place + 1]
        ]
    if not places:
        return text
    place = rng.choice(places)
    before, letter, after = text[:place], text[place], text[place + 1 :]
    if kind == "missing":
        return before + after
    if kind == "doubled":
        return before + letter + letter + after
    if kind == "transposed":
        return before + after[0] + letter + after[1:]
    alphabet = "abcdefghijklmnopqrstuvwxyz" if letter.isascii() else "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"
    return before + rng.choice(alphabet.replace(letter.lower(), "")) + after


def typing_errors(scheme: ClassScheme, *, each: int, seed: int) -> Iterator[tuple[str, int, str]]:
    """Misspelt names and synonyms of a scheme: kind of error, class code, text.

    Args:
        scheme: The scheme.
        each: How many a word and kind.
        seed: Of the errors.
    """
    rng = random.Random(f"{seed} {scheme.name}")
    for cls in scheme.classes:
        words = [*cls.names.values(), *(word for some in cls.synonyms.values() for word in some)]
        for word in words:
            for kind in KINDS:
                yield from ((kind, cls.code, misspelt(word, kind, rng)) for _ in range(each))


def taken_for_a_class(words: list[str], scheme: ClassScheme, *, least: float) -> list[str]:
    """Those of the words that the fuzzy step alone makes a class."""
    return [word for word in words if normalise(word, scheme, least=least).how == "fuzzy"]


def listed_words(files: list[Path], *, most: int, seed: int) -> list[str]:
    """Words of word lists, at most so many of each, drawn from a seed; never names or abbreviations with signs."""
    found = []
    for file in files:
        words = sorted({line.strip().casefold() for line in file.read_text("utf-8").splitlines()})
        words = [word for word in words if word.isalpha()]
        found += random.Random(seed).sample(words, min(most, len(words)))
    return found


def main() -> None:
    """Measure and print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--words", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=20_000)
    options = parser.parse_args()
    schemes = [load_scheme(name) for name in scheme_names()]
    errors = [
        (scheme, *case) for scheme in schemes for case in typing_errors(scheme, each=options.each, seed=options.seed)
    ]
    listed = listed_words(options.words, most=options.most, seed=options.seed)
    other = list(other_words())
    print(
        f"{len(errors)} misspelt words, {len(other)} other words, {len(listed)} listed words; now {LEAST_SIMILARITY}\n"
    )
    print(f"| least | {' | '.join(KINDS)} | wrong class | other words | listed words |")
    print("|---" * (len(KINDS) + 4) + "|")
    examples: list[str] = []
    for least in BOUNDS:
        asked, right, wrong = Counter[str](), Counter[str](), 0
        for scheme, kind, code, text in errors:
            found = normalise(text, scheme, least=least).code
            asked[kind] += 1
            right[kind] += found == code
            wrong += found not in (None, code)
        mistaken = {word for scheme in schemes for word in taken_for_a_class(other, scheme, least=least)}
        taken = {word for scheme in schemes for word in taken_for_a_class(listed, scheme, least=least)}
        if least == LEAST_SIMILARITY:
            examples = sorted(mistaken | taken)
        cells = [f"{right[kind] / asked[kind]:.1%}" for kind in KINDS]
        cells += [f"{wrong} ({wrong / len(errors):.2%})", str(len(mistaken)), str(len(taken))]
        print(f"| {least:g} | {' | '.join(cells)} |", flush=True)
    print(f"\nTaken for a class at {LEAST_SIMILARITY}: {', '.join(examples) or 'none'}")


if __name__ == "__main__":
    main()
