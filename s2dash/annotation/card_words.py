"""In words, what the eye cannot see of a cluster. Bands go by their wavelength, because their names are colours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from s2dash.annotation.answer import ClusterCard
from s2dash.annotation.card_facts import SPECKLE, TEXTURE_SIDE, ClusterFacts, SceneFacts
from s2dash.annotation.card_pictures import metres_text
from s2dash.bands import sensor_table

MOST_NEIGHBOURS = 3
"""Neighbours that are described."""
LEAST_BORDER = 0.05
"""Share of the border below which a neighbour is not worth a line."""
TROPIC = 23.5
"""Latitude below which there is no winter, degrees."""

_SEASONS = ("winter", "spring", "summer", "autumn")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MEANINGS = {
    "NDVI": "living leaves: open water lies below 0, bare ground under 0.2, dense leaves above 0.6",
    "NDWI": "open water lies above 0, land below",
    "MNDWI": "open water, turbid too, lies above 0, and so does snow; land below",
    "NDBI": "above 0 where 1610 nm exceeds the near infrared: dry soil, roofs, dry plants; living leaves far below",
    "BSI": "bare ground lies about 0 and above, leaves and water well below",
    "NDMI": "water in leaves: dry plants and bare ground lie below 0, moist canopies above 0.3",
    "NDSI": "snow lies above 0.4; water may too, but is dark",
}
"""What an index tells, by its standard name."""
_SAME = {"NDSI": "MNDWI"}
"""Indices that are left out where another of the same formula is told."""


def card_words(card: ClusterCard, facts: ClusterFacts, *, others: Mapping[int, ClusterCard], scene: SceneFacts) -> str:
    """All that is told of a cluster besides pictures.

    Args:
        card: Its figures.
        facts: What else was measured.
        others: The cards of all clusters of the scene, its own too: for ranges, and to describe neighbours.
        scene: Where and when.

    Returns:
        Lines of plain words without a colour, a class or a cluster number.
    """
    lines = [
        _where_and_when(scene),
        f"Area: {_number(card.area_ha)} ha, {_percent(card.share)} of what could be seen of the scene.",
        *_patch_lines(facts),
        *_reflectance_lines(card, others),
        *_index_lines(card, others),
        *_texture_lines(facts),
        *_neighbour_lines(facts, others),
    ]
    return "\n".join(line for line in lines if line)


def band_title(name: str) -> str:
    """A band by wavelength: `842 nm, near infrared`; without a word for a colour."""
    nanometres = sensor_table()[name].wavelength
    if nanometres < 700:
        return f"{nanometres} nm, visible"
    if nanometres < 800:
        return f"{nanometres} nm, between visible and near infrared"
    return f"{nanometres} nm, {'near' if nanometres < 1400 else 'short-wave'} infrared"


def season_text(day: date, *, latitude: float | None) -> str:
    """Month and season: `July 2021, summer in the northern hemisphere`.

    Args:
        day: Of the image.
        latitude: Degrees, north positive; None where it is not known: then no season is told.
    """
    month = f"{_MONTHS[day.month - 1]} {day.year}"
    if latitude is None:
        return month
    if abs(latitude) < TROPIC:
        return f"{month}, in the tropics"
    season = _SEASONS[(day.month % 12 // 3 + (2 if latitude < 0 else 0)) % 4]
    return f"{month}, {season} in the {'northern' if latitude > 0 else 'southern'} hemisphere"


def _where_and_when(scene: SceneFacts) -> str:
    parts = [f"One pixel covers {metres_text(scene.pixel_m)} of ground"]
    if scene.latitude is not None:
        parts.append(f"latitude about {abs(round(scene.latitude))}° {'north' if scene.latitude >= 0 else 'south'}")
    if scene.acquired is not None:
        parts.append(f"taken in {season_text(scene.acquired, latitude=scene.latitude)}")
    return "; ".join(parts) + "."


def _patch_lines(facts: ClusterFacts) -> list[str]:
    patches = facts.patches
    if not patches.count:
        return []
    about = "about " if patches.thinned else ""
    many = "one connected patch" if patches.count == 1 else f"{about}{patches.count:,} connected patches"
    return [
        f"Patches: {many}; half of its area lies in patches of {_number(patches.typical_ha)} ha or more, the largest "
        f"has {_number(patches.largest_ha)} ha; {_percent(patches.speckle)} of its area is speckle of fewer than "
        f"{SPECKLE} pixels.",
        f"Edges: {_percent(patches.edge)} of its pixels touch something else (few in broad compact patches, most in "
        "lines and crumbs).",
    ]


def _reflectance_lines(card: ClusterCard, others: Mapping[int, ClusterCard]) -> list[str]:
    told = card.mean or card.median
    lines = [
        f"{'Mean' if card.mean else 'Median'} reflectance, 0 to 1; then the range over all clusters of this scene, and "
        "how far the middle half of its own pixels spreads:"
    ]
    for band, value in told.items():
        every = [(other.mean if card.mean else other.median).get(band, value) for other in others.values()]
        spread = f"; spread {card.spread[band]:.3f}" if band in card.spread else ""
        lines.append(f"- {band_title(band)}: {value:.3f} ({_range(every, value, digits=3)}{spread})")
    return lines


def _index_lines(card: ClusterCard, others: Mapping[int, ClusterCard]) -> list[str]:
    told = {name: value for name, value in card.indices.items() if _SAME.get(name) not in card.indices}
    lines = ["Spectral indices, medians; then the range over all clusters of this scene:"] if told else []
    for name, value in told.items():
        every = [other.indices.get(name, value) for other in others.values()]
        meaning = f": {_MEANINGS[name]}" if name in _MEANINGS else ""
        lines.append(f"- {name} {value:.2f} ({_range(every, value, digits=2)}){meaning}")
    return lines


def _texture_lines(facts: ClusterFacts) -> list[str]:
    if not facts.texture:
        return []
    told = " and ".join(
        f"{_percent(value)} at {sensor_table()[band].wavelength} nm" for band, value in facts.texture.items()
    )
    return [
        f"Texture: within {TEXTURE_SIDE} x {TEXTURE_SIDE} pixels around it, reflectance varies by {told} of its mean."
    ]


def _neighbour_lines(facts: ClusterFacts, others: Mapping[int, ClusterCard]) -> list[str]:
    near = [(others[other], share) for other, share in facts.borders.items() if other in others]
    near = [(other, share) for other, share in near[:MOST_NEIGHBOURS] if share >= LEAST_BORDER]
    lines = ["What it borders on most, by share of its border:"] if near else []
    return lines + [f"- {_percent(share)}: {_figures(other)}" for other, share in near]


def _figures(card: ClusterCard) -> str:
    """Another cluster in a line."""
    told = [f"{_percent(card.share)} of the scene"]
    told += [f"{name} {card.indices[name]:.2f}" for name in ("NDVI", "NDWI", "NDBI") if name in card.indices]
    level = card.mean or card.median
    told += [
        f"reflectance {level[band]:.2f} at {sensor_table()[band].wavelength} nm"
        for band in ("B04", "B08", "B8A", "B11")
        if band in level and not (band == "B8A" and "B08" in level)
    ]
    return ", ".join(told)


def _range(values: list[float], own: float, *, digits: int) -> str:
    low, high = min(*values, own), max(*values, own)
    return f"scene {low:.{digits}f} to {high:.{digits}f}"


def _percent(share: float) -> str:
    """`0.04 %`, `3.1 %`, `42 %`."""
    percent = 100.0 * share
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.2g} %"


def _number(value: float) -> str:
    """Hectares with as many digits as mean anything."""
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2g}"
