"""What clustering looks at: bands, spectral indices, local texture and the season, standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.errors import FeatureError, ModelMismatchError, NoValidPixelsError
from s2dash.grid import BLOCK, blocks, pad
from s2dash.indices import compute_indices, index_notes
from s2dash.parallel import ordered_map
from s2dash.progress import Progress, Silent, steps
from s2dash.sampling import PixelSample, draw_sample
from s2dash.scene import Scene
from s2dash.types import BoolArray, FloatArray, NumberArray

DEFAULT_INDICES = ("NDVI", "NDWI", "NDBI")
"""Indices computed when none are named."""
DEFAULT_SAMPLE = 200_000
"""Pixels drawn for statistics and for fitting."""
MAX_TEXTURE = 255
"""Largest texture window, pixels: every block is read with half of it around, and 2.5 km is no longer local."""
SEASON_NDVI = ("NDVI_P10", "NDVI_P50", "NDVI_P90", "NDVI_AMPLITUDE")
"""The statistics of a season that tell cropland, grassland and trees apart."""


@dataclass(frozen=True)
class Standardiser:
    """Brings every feature to zero mean and unit spread; kept, so that another scene can be treated alike."""

    names: tuple[str, ...]
    """Features, in order."""
    mean: FloatArray
    """Shape (feature,), float64."""
    std: FloatArray
    """Shape (feature,), float64; 1 for a constant feature."""

    @classmethod
    def fit(cls, names: Sequence[str], values: FloatArray) -> Standardiser:
        """Statistics of a sample of shape (feature, pixel)."""
        mean = values.mean(axis=1, dtype=np.float64)
        std = values.std(axis=1, dtype=np.float64)
        return cls(tuple(names), mean, np.where(std > 1e-9, std, 1.0))

    def apply(self, values: FloatArray) -> FloatArray:
        """Standardise `values` of shape (feature, …), float32."""
        shape = (-1,) + (1,) * (values.ndim - 1)
        out = values - self.mean.astype(np.float32).reshape(shape)
        out /= self.std.astype(np.float32).reshape(shape)
        return np.asarray(out, dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"names": list(self.names), "mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Standardiser:
        """From `to_json`."""
        return cls(tuple(content["names"]), np.asarray(content["mean"]), np.asarray(content["std"]))


@dataclass(frozen=True)
class Texture:
    """Local mean and spread of some features in a square window."""

    of: tuple[str, ...] = ("B04", "B08", "NDVI")
    """Bands or indices whose surroundings are described; those a scene lacks are left out."""
    size: int = 5
    """Side of the window, pixels; odd."""

    def __post_init__(self) -> None:
        if not 3 <= self.size <= MAX_TEXTURE or self.size % 2 == 0:
            raise FeatureError(
                f"The texture window must be an odd number of pixels from 3 to {MAX_TEXTURE}, not {self.size}."
            )


@dataclass(frozen=True)
class FeatureStack:
    """Named, standardised features of a scene, computed block by block when asked for."""

    scene: Scene
    """Where the pixels come from."""
    indices: tuple[str, ...]
    """Spectral indices besides the bands."""
    texture: Texture | None
    """Local texture, if any."""
    scaler: Standardiser
    """Statistics all values are standardised with."""
    season: tuple[str, ...] = ()
    """Statistics of the season, by the names of the scene's `season` layers."""
    notes: tuple[str, ...] = ()
    """Substitutions and omissions the person should know."""
    _samples: dict[tuple[int, int], _RawSample] = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> GeoBox:
        """The scene's grid."""
        return self.scene.grid

    @property
    def names(self) -> tuple[str, ...]:
        """Features, in order: bands, indices, texture, season."""
        return self.scaler.names

    @property
    def halo(self) -> int:
        """Pixels around a block that its features depend on."""
        return self.texture.size // 2 if self.texture else 0

    @property
    def pointwise(self) -> bool:
        """Whether a pixel's own numbers are all that its features depend on (see `of_numbers`)."""
        return self.texture is None and not self.season

    @cached_property
    def affine(self) -> tuple[FloatArray, FloatArray] | None:
        """Gain and shift per band if features are `numbers * gain + shift`, else None.

        With bands alone no float copy of the scene is ever needed: a linear model folds both into its own weights.
        """
        if self.indices or not self.pointwise:
            return None
        radiometry = self.scene.radiometry
        return radiometry.scale / self.scaler.std, (radiometry.offset - self.scaler.mean) / self.scaler.std

    def of_numbers(self, numbers: NumberArray) -> FloatArray:
        """Standardised features of digital numbers, where these are all that is needed (`pointwise`).

        Args:
            numbers: Shape (band, …), in the order of the scene's bands.

        Returns:
            Shape (feature, …), float32.
        """
        return self.scaler.apply(_point_features(self.scene, self.indices, numbers))

    def block(self, window: Window) -> tuple[FloatArray, BoolArray]:
        """Standardised features of a window, and where they are valid.

        Returns:
            Shape (feature, y, x), float32, 0 where not valid; and a mask of shape (y, x).
        """
        raw, valid = _raw_block(self.scene, self.indices, self.texture, self.season, window)
        values = self.scaler.apply(raw)
        values[:, ~valid] = 0
        return values, valid

    def sample(self, size: int, *, seed: int, progress: Progress | None = None) -> FloatArray:
        """Standardised features of a seeded sample of valid pixels, shape (pixel, feature), float32."""
        return np.ascontiguousarray(self.scaler.apply(self._drawn(size, seed, progress).values).T)

    def sampled_places(self, size: int, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the pixels that `sample` draws, in its order, each of shape (pixel,)."""
        drawn = self._drawn(size, seed, None)
        return drawn.rows, drawn.cols

    def _drawn(self, size: int, seed: int, progress: Progress | None) -> _RawSample:
        if (size, seed) not in self._samples:
            drawn = draw_sample(self.scene, size=size, seed=seed, progress=progress)
            self._samples[size, seed] = _raw_sample(self.scene, self.indices, self.texture, self.season, drawn)
        return self._samples[size, seed]

    def with_scaler(self, scaler: Standardiser) -> FeatureStack:
        """The same features standardised like those of another scene.

        Raises:
            ModelMismatchError: If the features differ.
        """
        if scaler.names != self.names:
            raise ModelMismatchError(
                f"The statistics are for the features {list(scaler.names)}, but this scene has {list(self.names)}."
            )
        return replace(self, scaler=scaler)


def build_features(
    scene: Scene,
    *,
    indices: Sequence[str] = DEFAULT_INDICES,
    texture: Texture | None = None,
    season: Sequence[str] = (),
    scaler: Standardiser | None = None,
    sample: int = DEFAULT_SAMPLE,
    seed: int = 0,
    progress: Progress | None = None,
) -> FeatureStack:
    """Choose what clustering looks at.

    Args:
        scene: The scene.
        indices: Standard names of Awesome Spectral Indices (through `spyndex`), e.g. `NDVI`; `BSI` is its `BI`.
        texture: Also local mean and spread.
        season: Also these layers of the scene's season, e.g. `SEASON_NDVI`; a composite that was fetched with
            statistics of its season has them beside it.
        scaler: Statistics of another scene to reuse; by default those of a sample of this one.
        sample: Pixels drawn for the statistics.
        seed: Same seed, same sample.
        progress: Where to report.

    Raises:
        FeatureError: If an index is unknown or needs a band the scene lacks, or a layer of the season is not there.
        SampleError: If sample size or seed is out of range.
        NoValidPixelsError: If no pixel is valid.
        ModelMismatchError: If `scaler` is for other features.
    """
    indices = tuple(dict.fromkeys(indices))
    notes = [note for name in indices for note in index_notes(name, scene.bands)]
    if texture is not None:
        known = tuple(name for name in texture.of if name in scene.bands or name in indices)
        if not known:
            raise FeatureError(f"None of {list(texture.of)} is among the bands or indices, so it has no texture.")
        texture = replace(texture, of=known)
    season = tuple(dict.fromkeys(season))
    _check_season(scene, season)
    names = feature_names(scene.bands, indices, texture, season)
    samples: dict[tuple[int, int], _RawSample] = {}
    if scaler is None or season:
        drawn = draw_sample(scene, size=sample, seed=seed, progress=progress)
        raw = samples[sample, seed] = _raw_sample(scene, indices, texture, season, drawn)
        if len(raw.rows) < len(drawn):
            notes.append(
                f"About {1 - len(raw.rows) / len(drawn):.1%} of the pixels have no statistics of the season; they are "
                "left out as no data."
            )
    own = replace(scaler, names=names) if scaler is not None else Standardiser.fit(names, samples[sample, seed].values)
    stack = FeatureStack(scene, indices, texture, own, season, tuple(dict.fromkeys(notes)), samples)
    return stack if scaler is None else stack.with_scaler(scaler)


def feature_names(
    bands: Sequence[str], indices: Sequence[str], texture: Texture | None, season: Sequence[str] = ()
) -> tuple[str, ...]:
    """Names in the order in which features are stacked."""
    local = texture.of if texture else ()
    return (*bands, *indices, *(f"{name} mean" for name in local), *(f"{name} spread" for name in local), *season)


def _check_season(scene: Scene, season: Sequence[str]) -> None:
    there = scene.season.bands if scene.season is not None else ()
    missing = [name for name in season if name not in there]
    if missing and not there:
        raise FeatureError(
            f"{scene.provenance.title} has no statistics of a season ({', '.join(missing)}). Fetch a composite with "
            "them (fetch --composite median --season), or leave them out."
        )
    if missing:
        raise FeatureError(
            f"The season of {scene.provenance.title} has no {', '.join(missing)}; it has {', '.join(there)}."
        )


def _point_features(scene: Scene, indices: Sequence[str], numbers: NumberArray) -> FloatArray:
    """Bands and indices of numbers of shape (band, …), not standardised."""
    reflectance = scene.radiometry.apply(numbers)
    if not indices:
        return reflectance
    return np.concatenate([reflectance, compute_indices(indices, reflectance, scene.bands)])


def _raw_block(
    scene: Scene, indices: Sequence[str], texture: Texture | None, season: Sequence[str], window: Window
) -> tuple[FloatArray, BoolArray]:
    halo = texture.size // 2 if texture else 0
    outer, inner = pad(window, halo=halo, grid=scene.grid)
    numbers, valid = scene.read_numbers(outer)
    if np.issubdtype(numbers.dtype, np.floating):
        numbers = np.where(valid, numbers, 0)
    values = _point_features(scene, indices, numbers)
    if texture is not None:
        names = (*scene.bands, *indices)
        local = _local_statistics(values[[names.index(name) for name in texture.of]], valid, texture.size)
        values, valid = np.concatenate([values, local])[(slice(None), *inner)], valid[inner]
    if season and scene.season is not None:
        # not a number where the whole season saw nothing, or no light at all for the NDVI: any number put there would
        # make a cluster of what was not seen
        layers = scene.season.read(season, window).astype(np.float32)
        seen = np.isfinite(layers).all(axis=0)
        values, valid = np.concatenate([values, np.where(seen, layers, 0.0)]), valid & seen
    return values, valid


def _local_statistics(values: FloatArray, valid: BoolArray, size: int) -> FloatArray:
    """Mean and standard deviation over the valid pixels of a square window, shape (2 * feature, y, x)."""
    from scipy.ndimage import uniform_filter

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(uniform_filter(array, size=size, mode="constant", output=np.float64))

    weight = np.maximum(mean(valid.astype(np.float64)), 1e-12)
    means, spreads = [], []
    for value in values:
        # centred first: the difference of two large squares would lose the spread in rounding
        centre = float(value[valid].mean()) if valid.any() else 0.0
        shifted = np.where(valid, value - centre, 0.0)
        local = mean(shifted) / weight
        variance = mean(shifted**2) / weight - local**2
        means.append(local + centre)
        spreads.append(np.sqrt(np.maximum(variance, 0.0)))
    return np.asarray([*means, *spreads], dtype=np.float32)


@dataclass(frozen=True)
class _RawSample:
    values: FloatArray
    """Features, not standardised, shape (feature, pixel)."""
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


def _raw_sample(
    scene: Scene, indices: Sequence[str], texture: Texture | None, season: Sequence[str], drawn: PixelSample
) -> _RawSample:
    """Features of sampled pixels; without those the season did not see.

    Raises:
        NoValidPixelsError: If the season saw none of them.
    """
    if texture is None and not season:
        return _RawSample(_point_features(scene, indices, drawn.numbers), drawn.rows, drawn.cols)
    width = scene.grid.shape[1]
    across = -(-width // BLOCK)
    block_of = (drawn.rows // BLOCK) * across + drawn.cols // BLOCK
    every = blocks(scene.grid)
    used = np.unique(block_of)
    out = np.empty((len(feature_names(scene.bands, indices, texture, season)), len(drawn)), dtype=np.float32)
    seen = np.zeros(len(drawn), dtype=bool)

    def fill(index: int) -> None:
        values, valid = _raw_block(scene, indices, texture, season, every[index])
        members = np.flatnonzero(block_of == index)
        rows = drawn.rows[members] - int(every[index].row_off)
        cols = drawn.cols[members] - int(every[index].col_off)
        out[:, members] = values[:, rows, cols]
        seen[members] = valid[rows, cols]

    for _ in steps(
        ordered_map(fill, [int(index) for index in used]), total=len(used), progress=Silent(), text="Computing features"
    ):
        pass
    if not seen.any():
        raise NoValidPixelsError(
            f"The statistics of the season beside {scene.provenance.title} hold no data where the scene does. Leave "
            "them out, or fetch them again."
        )
    return _RawSample(out[:, seen], drawn.rows[seen], drawn.cols[seen])
