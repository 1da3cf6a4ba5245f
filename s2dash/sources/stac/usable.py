"""Which tiles and bands can be used together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s2dash.bands import sensor_table
from s2dash.errors import TooFewBandsError
from s2dash.sources.stac.items import SceneItem


def usable(
    images: Sequence[SceneItem], bands: Sequence[str]
) -> tuple[list[SceneItem], tuple[str, ...], tuple[str, ...]]:
    """Images without the tiles that lack an asset others have, the bands to fetch with `SCL`, and notes on both.

    Raises:
        TooFewBandsError: If fewer than two bands are left.
    """
    tiles = [tile for image in images for tile in image.tiles]
    wanted = [band for band in sensor_table() if band in bands] + ["SCL"]
    there = tuple(band for band in wanted if any(band in tile.assets for tile in tiles))
    notes = []
    if absent := [band for band in wanted if band not in there]:
        notes.append(f"No tile has an asset for {', '.join(absent)}.")
    if "SCL" not in there:
        notes.append("Without a scene classification nothing is masked: clouds stay in the scene.")
    if len([band for band in there if band != "SCL"]) < 2:
        known = ", ".join(sorted({band for tile in tiles for band in tile.assets})) or "none that is known"
        raise TooFewBandsError(
            f"The items have too few of the bands wanted ({', '.join(wanted)}); their assets are {known}. Is it a "
            "collection of Sentinel-2 level 2A? Give another collection."
        )
    kept = []
    for image in images:
        whole = tuple(tile for tile in image.tiles if set(there) <= set(tile.assets))
        for tile in image.tiles:
            if missing := [band for band in there if band not in tile.assets]:
                notes.append(f"Left out {tile.id}: it has no asset for {', '.join(missing)}.")
        if whole:
            kept.append(replace(image, tiles=whole))
    if not kept:
        raise TooFewBandsError(
            f"Every tile lacks an asset another one has. {' '.join(notes)} Fetch fewer bands, or search other days."
        )
    return kept, there, tuple(notes)
