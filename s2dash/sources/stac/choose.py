"""Which of the images found are used: one, the clearest, or those of a composite."""

from __future__ import annotations

from collections.abc import Sequence

from s2dash.errors import ImageryError, NoImageryError
from s2dash.sources.stac.items import SceneItem

MOST_LOOKS = 24
"""Images of a composite, unless told otherwise: two a month over a year."""


def clearest(images: Sequence[SceneItem]) -> SceneItem:
    """The image that is likely to show most of the area clearly; of equals the earliest.

    The order is by coverage times the cloud-free share of the tiles, which the catalogue knows for whole tiles only.

    Raises:
        NoImageryError: If there is none.
    """
    if not images:
        raise NoImageryError("There is no image to choose from. Search other days, or allow more cloud.")
    return max(images, key=lambda image: (round(image.clear_percent, 3), -image.day.toordinal()))


def by_id(images: Sequence[SceneItem], identifier: str) -> SceneItem:
    """The image with a tile of that identifier.

    Raises:
        NoImageryError: If none was found under it.
    """
    for image in images:
        if any(tile.id == identifier for tile in image.tiles):
            return image
    known = ", ".join(image.id for image in images[:10])
    raise NoImageryError(
        f"No image found has the identifier {identifier!r}; there are: {known}{', …' if len(images) > 10 else ''}."
    )


def for_composite(images: Sequence[SceneItem], *, most: int = MOST_LOOKS) -> list[SceneItem]:
    """The images of a composite, the earliest first; of many, those likely to be clearest.

    To keep a season in it, the period is cut into as many equal spans as images are wanted, and the clearest of each
    span goes first; what is left of the number is filled with the clearest of the others.

    Args:
        images: What a search found.
        most: Most images used, at least 1.

    Raises:
        ImageryError: If `most` is less than 1.
        NoImageryError: If there is none.
    """
    if most < 1:
        raise ImageryError(f"A composite needs at least one image, not {most}.")
    if not images:
        raise NoImageryError("There is no image to make a composite of. Search other days, or allow more cloud.")
    if len(images) <= most:
        return sorted(images, key=_order)
    first = min(image.day for image in images).toordinal()
    length = max(image.day for image in images).toordinal() - first + 1
    spans: dict[int, list[SceneItem]] = {}
    for image in images:
        spans.setdefault((image.day.toordinal() - first) * most // length, []).append(image)
    chosen = [clearest(span) for span in spans.values()]
    taken = {image.id for image in chosen}
    rest = sorted(
        (image for image in images if image.id not in taken), key=lambda each: (-each.clear_percent, each.day)
    )
    return sorted([*chosen, *rest[: most - len(chosen)]], key=_order)


def _order(image: SceneItem) -> tuple[int, str, str]:
    return image.day.toordinal(), image.platform, image.id
