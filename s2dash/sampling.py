"""A seeded random sample of the valid pixels of a scene, drawn in one pass over its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.errors import NoValidPixelsError, SampleError
from s2dash.grid import BLOCK, blocks
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, steps
from s2dash.scene import Scene
from s2dash.types import NumberArray

ALL_BLOCKS = 144
"""A scene of at most this many blocks is sampled from all of them."""
MAX_BLOCKS = 160
"""No scene is sampled from more blocks, spread evenly: a third of a tile says what the tile holds."""
MAX_SAMPLE = 5_000_000
"""Most pixels drawn: a run with thirteen features then takes 1.6 GiB."""
_MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class PixelSample:
    """Pixels drawn uniformly, without replacement, from the valid ones."""

    rows: NDArray[np.int64]
    """Shape (pixel,)."""
    cols: NDArray[np.int64]
    """Shape (pixel,)."""
    numbers: NumberArray
    """Digital numbers, shape (band, pixel)."""
    valid_seen: int
    """Valid pixels in the blocks that were read."""

    def __len__(self) -> int:
        return len(self.rows)


def draw_sample(
    scene: Scene, *, size: int, seed: int, max_blocks: int | None = None, progress: Progress | None = None
) -> PixelSample:
    """Draw `size` valid pixels, or all where there are fewer.

    Every valid pixel gets a random priority that depends only on the seed and its place, and the `size` smallest win
    (bottom-k sampling). So the draw is uniform whatever the clouds hide, and does not depend on threads or timing.

    Args:
        scene: The scene.
        size: Number of pixels wanted.
        seed: Same seed, same pixels.
        max_blocks: A scene with more blocks than this is sampled from this many, spread evenly; by default from half
            of them, within `ALL_BLOCKS` and `MAX_BLOCKS`.
        progress: Where to report.

    Raises:
        SampleError: If size or seed is out of range.
        NoValidPixelsError: If no pixel is valid.
    """
    _check(size, seed)
    every = blocks(scene.grid)
    most = max_blocks or min(max(-(-len(every) // 2), ALL_BLOCKS), MAX_BLOCKS)
    picks = _spread(scene.grid, len(every), most)
    drawn = _draw_from(scene, [(pick, every[pick]) for pick in picks], size, seed, progress or Silent())
    if len(drawn) < size and len(picks) < len(every):  # mostly clouds: look everywhere before giving up
        drawn = _draw_from(scene, list(enumerate(every)), size, seed, progress or Silent())
    if len(drawn) == 0:
        raise NoValidPixelsError(
            f"{scene.provenance.title} has no valid pixel: everything is no-data or masked as cloud, shadow or "
            "saturated. Choose another date or area, or loosen the mask."
        )
    return drawn


def _spread(grid: GeoBox, count: int, most: int) -> list[int]:
    """Which of `count` blocks to look at: a lattice that leaves no gap and follows neither rows nor columns.

    The two steps are those of Roberts' R2 sequence (2018), the plane's golden ratio.
    """
    place = np.arange(count)
    across = -(-grid.shape[1] // BLOCK)
    rank = (place % across * 0.7548776662466927 + place // across * 0.5698402909980532) % 1.0
    return sorted(int(pick) for pick in np.argsort(rank, kind="stable")[:most])


def _check(size: int, seed: int) -> None:
    if not 1 <= size <= MAX_SAMPLE:
        raise SampleError(
            f"A sample has 1 to {MAX_SAMPLE:,} pixels, not {size:,}. Some ten thousand say what a scene holds."
        )
    if not 0 <= seed <= _MAX_SEED:
        raise SampleError(f"The seed {seed} is not between 0 and {_MAX_SEED}. Any number there will do, 0 for example.")


def _draw_from(scene: Scene, chosen: list[tuple[int, Window]], size: int, seed: int, progress: Progress) -> PixelSample:
    bands = len(scene.bands)
    priority = np.empty(0)
    place = np.empty((2, 0), dtype=np.int64)
    kept: NumberArray = np.empty((bands, 0), dtype=scene.source.dtype)
    limit, seen = 1.0, 0

    def read(item: tuple[int, Window]) -> tuple[NDArray[np.float64], NDArray[np.int64], NumberArray, int]:
        index, window = item
        numbers, valid = scene.read_numbers(window)
        inside = np.flatnonzero(valid)
        draws = np.random.default_rng([seed, index]).random(len(inside))
        # `limit` only falls, so that a stale value lets in too many and never too few
        low = np.flatnonzero(draws < limit)
        if len(low) > size:
            low = np.sort(low[np.argpartition(draws[low], size - 1)[:size]])
        flat = inside[low]
        rows, cols = np.divmod(flat, int(window.width))
        where = np.stack([rows + int(window.row_off), cols + int(window.col_off)])
        return draws[low], where, numbers.reshape(bands, -1)[:, flat], len(inside)

    results = ordered_map(read, chosen)
    for draws, where, numbers, count in steps(results, total=len(chosen), progress=progress, text="Sampling pixels"):
        seen += count
        priority = np.concatenate([priority, draws])
        place = np.concatenate([place, where], axis=1)
        kept = np.concatenate([kept, numbers], axis=1)
        if len(priority) > 2 * size:
            best = np.argpartition(priority, size - 1)[:size]
            priority, place, kept = priority[best], place[:, best], kept[:, best]
            limit = float(priority.max())
    best = np.argsort(priority, kind="stable")[:size]
    return PixelSample(rows=place[0, best], cols=place[1, best], numbers=kept[:, best], valid_seen=seen)
