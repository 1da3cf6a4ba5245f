"""Which offset the numbers of a tile need: the rule of its collection, its baseline, and a look at its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.errors import ImageryError
from s2dash.grid import slices
from s2dash.progress import Progress
from s2dash.radiometry import SHIFT, detect_radiometry
from s2dash.scene import Radiometry
from s2dash.sources.stac.cache import ImageryCache
from s2dash.sources.stac.catalogues import Catalogue, CollectionRule
from s2dash.sources.stac.items import SceneItem, Tile
from s2dash.sources.stac.load import ImageReader
from s2dash.types import NumberArray

SCALE = 1e-4
"""Reflectance per digital number in every archive of Sentinel-2."""
FIRST_SHIFTED = 4.0
"""Processing baseline from which on the numbers carry +1000."""
LOOKED_AT = ("B02", "B03", "B04", "B12")
"""Bands whose overviews are looked at: the visible ones, and the one that sees least over water."""
_SIDE = 1000
"""Side of the overview looked at, pixels."""


@dataclass(frozen=True)
class TileOffset:
    """What is added to the reflectance of a tile, and why."""

    offset: float
    """0 or −0.1, reflectance; what the item says where it says something else."""
    rule: str
    """`collection`, `baseline`, `metadata` or `pixel check`."""
    evidence: str
    """Why, in a sentence for the person."""
    certain: bool = True
    """False where the person should look."""

    @property
    def number(self) -> int:
        """The same in digital numbers, e.g. −1000."""
        return round(self.offset / SCALE)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"offset": self.offset, "rule": self.rule, "evidence": self.evidence, "certain": self.certain}


def tile_offset(tile: Tile, rule: CollectionRule, reader: ImageReader) -> TileOffset:
    """Find the offset of a tile.

    Args:
        tile: The tile.
        rule: What is known of its collection.
        reader: Reads its overview where the pixels are asked.

    Raises:
        ImageryError: If the item says that its numbers are on another scale, or the overview cannot be read.
    """
    told = {(file.scale, file.offset) for band, file in tile.assets.items() if band in reader.bands and band != "SCL"}
    strange = {scale for scale, _ in told if scale not in (None, 1.0, SCALE)}
    if strange:
        raise ImageryError(
            f"{tile.id} says that a reflectance of 1 is the number {1 / min(strange):g}, not 10000. Download it and "
            "open it as files, with --scale."
        )
    offsets = {offset for _, offset in told if offset is not None}
    said = offsets.pop() if len(offsets) == 1 else None
    said = said * SCALE if said is not None and abs(said) > 1 else said  # some catalogues give it in digital numbers
    named = f"baseline {tile.baseline:05.2f}" if tile.baseline is not None else "an unknown baseline"
    if rule.offset == "shifted":
        return TileOffset(
            SHIFT, "collection", f"Every scene of {rule.name} still carries the +1000; 0.1 is subtracted."
        )
    if rule.offset == "metadata" and said is not None:
        return TileOffset(said, "metadata", f"The catalogue says for {tile.id} ({named}): offset {said:g}.")
    if tile.baseline is not None and tile.baseline < FIRST_SHIFTED:
        return TileOffset(
            0.0, "baseline", f"{tile.id} is of {named}, before the +1000 of 04.00; nothing is subtracted."
        )
    if rule.offset in ("baseline", "metadata") and tile.baseline is not None:
        text = f"{tile.id} is of {named}, and {rule.name} is not harmonised: 0.1 is subtracted for its +1000."
        return TileOffset(SHIFT, "baseline", text)
    return _checked(tile, rule, reader, said)


def _checked(tile: Tile, rule: CollectionRule, reader: ImageReader, said: float | None) -> TileOffset:
    """What the collection or the item says, held against the pixels of the whole tile."""
    bands = [band for band in LOOKED_AT if band in tile.assets] or [band for band in reader.bands if band != "SCL"][:4]
    source = _Overview(tuple(bands), reader.read_overview(tile, bands, side=_SIDE))
    found = detect_radiometry(source, bands=bands, scale=SCALE)
    seen = f"{tile.id}: {found.evidence}"
    if rule.offset == "harmonised":
        expected, origin = 0.0, f"{rule.name} here has the +1000 taken off already"
    elif said is not None:
        expected, origin = said, f"the catalogue says offset {said:g}"
    else:
        return TileOffset(found.offset, "pixel check", seen, found.certain)
    if not found.certain:
        return TileOffset(expected, "collection", f"{origin[0].upper()}{origin[1:]}; pixels undecided. {seen}", False)
    if found.offset == expected:
        return TileOffset(expected, "collection", f"{origin[0].upper()}{origin[1:]}; the pixels agree. {seen}")
    return TileOffset(found.offset, "pixel check", f"{origin[0].upper()}{origin[1:]}, but not here. {seen}")


def find_offsets(
    images: Sequence[SceneItem], place: Catalogue, reader: ImageReader, cache: ImageryCache, progress: Progress
) -> dict[str, TileOffset]:
    """The offset of each tile by identifier; what was found once is remembered, as pixels may have to be asked.

    Raises:
        ImageryError: As `tile_offset`.
    """
    tiles = {tile.id: tile for image in images for tile in image.tiles}
    found: dict[str, TileOffset] = {}
    for done, tile in enumerate(tiles.values()):
        progress.report(done / len(tiles), f"Finding the offset of {tile.id}")
        rule: CollectionRule = place.collections.get(tile.collection, CollectionRule(tile.collection))
        about = {
            "catalogue": place.shown,
            "collection": tile.collection,
            "tile": tile.id,
            "baseline": tile.baseline,
            "files": {band: [file.scale, file.offset] for band, file in sorted(tile.assets.items())},
        }
        kept = cache.remembered("offsets", about)
        found[tile.id] = TileOffset(**kept) if kept else tile_offset(tile, rule, reader)
        if kept is None:
            cache.remember("offsets", about, found[tile.id].to_json())
    return found


def common_radiometry(offsets: Sequence[TileOffset], lowest: int) -> Radiometry:
    """The radiometry of tiles that were all brought to one offset.

    Args:
        offsets: Of the tiles.
        lowest: The offset they were brought to, digital numbers.
    """
    first = next(offset for offset in offsets if offset.number == lowest)
    certain = all(offset.certain for offset in offsets)
    several = len({offset.number for offset in offsets}) > 1
    evidence = first.evidence
    if several:
        evidence = f"Tiles carry different shifts; all were brought to one, {lowest:+d}, losslessly. First: {evidence}"
    elif not certain:
        evidence = next(offset.evidence for offset in offsets if not offset.certain)
    return Radiometry(SCALE, lowest * SCALE, first.rule, evidence, certain)


@dataclass(frozen=True)
class _Overview:
    """A tile at low resolution, as `detect_radiometry` reads it."""

    bands: tuple[str, ...]
    numbers: NumberArray

    @property
    def grid(self) -> GeoBox:
        shape = self.numbers.shape[1:]
        return GeoBox((shape[0], shape[1]), Affine(110, 0, 0, 0, -110, 0), "EPSG:32601")

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.numbers.dtype

    def read(self, bands: Sequence[str], window: Window) -> NumberArray:
        rows, cols = slices(window)
        return self.numbers[[self.bands.index(band) for band in bands], rows, cols]

    def read_scl(self, window: Window) -> None:  # noqa: ARG002
        return None

    def read_overview(self, bands: Sequence[str], shape: tuple[int, int]) -> NumberArray:
        rows, cols = (np.arange(n) * size // n for n, size in zip(shape, self.numbers.shape[1:], strict=True))
        picked = self.numbers[[self.bands.index(band) for band in bands]]
        return np.asarray(picked[:, rows[:, None], cols])

    def read_scl_overview(self, shape: tuple[int, int]) -> None:  # noqa: ARG002
        return None
