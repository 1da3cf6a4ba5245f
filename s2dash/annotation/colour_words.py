"""Words for colours, which no question to a model may hold: it would answer from the word and not from the ground."""

from __future__ import annotations

import re

_INSIDE = "green|yellow|purple|orange|violet|brown|magenta|turquoise|crimson|scarlet|maroon|khaki"
"""Colours also inside longer words, such as `evergreen`."""
_ALONE = (
    "red|reds|redd(?:er|est|ish|en|ened)|blue|blues|blu(?:er|est|ish|ey)|black|blacks|black(?:er|est|ish|ened)"
    "|white|whites|whit(?:er|est|ish|ened)|gr[ea]y|gr[ea]ys|gr[ea]y(?:er|est|ish|ed)|pink|pinks|pinkish|tan|teal|cyan"
    "|beige|gold|golden|silver|silvery|ochre|lilac|azure|ivory|navy|mauve|indigo|charcoal|amber|rust|rusty"
)
"""Colours that are parts of other words: `covered`, `infrared`, `tank`."""
_UKRAINIAN_INSIDE = (
    "зелен|жовт|червон|коричнев|помаранч|оранжев|фіолетов|рожев|блакитн|бірюзов|бежев|золотист|сріблист|пурпур|багрян"
    "|малинов|салатов|білуват|чорнуват|сірват|синюват"
)
_ENDING = "(?:ий|а|е|і|ого|ому|им|их|ими|ою|у|ої|ій)"
_UKRAINIAN_ALONE = f"(?:біл|чорн|сір|бур|руд){_ENDING}|син(?:ій|я|є|і|ього|ьому|ім|іх|іми|ьою|ю|ьої)"
_COLOUR = re.compile(
    rf"(?<!\w)(?:\w*(?:{_INSIDE}|{_UKRAINIAN_INSIDE})\w*|{_ALONE}|{_UKRAINIAN_ALONE})(?!\w)", re.IGNORECASE
)
_PLAIN = {
    "greenhouse": "glasshouse",
    "evergreen": "non-deciduous",
    "greenery": "plants",
    "red edge": "edge of the visible",
}
"""Words that say something besides a colour, and what says the same without one."""
_INSTEAD = re.compile(rf"(?<![^\W_])(?:{'|'.join(_PLAIN)})", re.IGNORECASE)


def colour_words(text: str) -> tuple[str, ...]:
    """Words in a text that name a colour, in English or Ukrainian, as they are written; black, white and grey too.

    A word such as `evergreen` counts, one such as `infrared` or `covered` does not.
    """
    return tuple(_COLOUR.findall(text.replace("_", " ")))


def without_colour_words(text: str) -> str:
    """A text without the words that `colour_words` finds: other words instead where they say more than a colour."""

    def instead(found: re.Match[str]) -> str:
        word = _PLAIN[found[0].lower()]
        return word.capitalize() if found[0][0].isupper() else word

    if not colour_words(text):
        return text
    left = _COLOUR.sub("", _INSTEAD.sub(instead, text).replace("_", " "))
    left = re.sub(r"(?<!\w)-|-(?!\w)", " ", left)
    left = re.sub(r"\(\s*\)", "", left)
    left = re.sub(r"\s+([,.;:!?)])", r"\1", re.sub(r"\s{2,}", " ", left))
    return left.strip().lstrip(",;: ")
