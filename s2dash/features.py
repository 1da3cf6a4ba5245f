"""What clustering looks at: bands, spectral indices and local texture, standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from s2dash.bands import sensor_table
from s2dash.errors import FeatureError, ModelMismatchError
from s2dash.grid import BLOCK, blocks, pad
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
_FLOOR = 1e-4
"""Least reflectance that enters an index: noise below zero would send ratios to infinity."""
_LIMIT = 10.0
"""Indices are kept within plus and minus this."""
_NAMES = {"BSI": "BI"}
"""Names analysts use → names in Awesome Spectral Indices."""


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
    notes: tuple[str, ...] = ()
    """Substitutions and omissions the person should know."""
    _samples: dict[tuple[int, int], tuple[PixelSample, FloatArray]] = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> GeoBox:
        """The scene's grid."""
        return self.scene.grid

    @property
    def names(self) -> tuple[str, ...]:
        """Features, in order: bands, indices, texture."""
        return self.scaler.names

    @property
    def halo(self) -> int:
        """Pixels around a block that its features depend on."""
        return self.texture.size // 2 if self.texture else 0

    @cached_property
    def affine(self) -> tuple[FloatArray, FloatArray] | None:
        """Gain and shift per band if features are `numbers * gain + shift`, else None.

        With bands alone no float copy of the scene is ever needed: a linear model folds both into its own weights.
        """
        if self.indices or self.texture:
            return None
        radiometry = self.scene.radiometry
        return radiometry.scale / self.scaler.std, (radiometry.offset - self.scaler.mean) / self.scaler.std

    def of_numbers(self, numbers: NumberArray) -> FloatArray:
        """Standardised features of digital numbers, for features that need no neighbours (`halo` is 0).

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
        raw, valid = _raw_block(self.scene, self.indices, self.texture, window)
        values = self.scaler.apply(raw)
        values[:, ~valid] = 0
        return values, valid

    def sample(self, size: int, *, seed: int, progress: Progress | None = None) -> FloatArray:
        """Standardised features of a seeded sample of valid pixels, shape (pixel, feature), float32."""
        if (size, seed) not in self._samples:
            drawn = draw_sample(self.scene, size=size, seed=seed, progress=progress)
            raw = _raw_sample(self.scene, self.indices, self.texture, drawn)
            self._samples[size, seed] = drawn, raw
        return np.ascontiguousarray(self.scaler.apply(self._samples[size, seed][1]).T)

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
        scaler: Statistics of another scene to reuse; by default those of a sample of this one.
        sample: Pixels drawn for the statistics.
        seed: Same seed, same sample.
        progress: Where to report.

    Raises:
        FeatureError: If an index is unknown or needs a band the scene lacks.
        SampleError: If sample size or seed is out of range.
        NoValidPixelsError: If no pixel is valid.
        ModelMismatchError: If `scaler` is for other features.
    """
    indices = tuple(dict.fromkeys(indices))
    notes = [note for name in indices for note in _check_index(name, scene.bands)]
    if texture is not None:
        known = tuple(name for name in texture.of if name in scene.bands or name in indices)
        if not known:
            raise FeatureError(f"None of {list(texture.of)} is among the bands or indices, so it has no texture.")
        texture = replace(texture, of=known)
    names = feature_names(scene.bands, indices, texture)
    said = tuple(dict.fromkeys(notes))
    if scaler is not None:
        return FeatureStack(scene, indices, texture, replace(scaler, names=names), said).with_scaler(scaler)
    drawn = draw_sample(scene, size=sample, seed=seed, progress=progress)
    raw = _raw_sample(scene, indices, texture, drawn)
    stack = FeatureStack(scene, indices, texture, Standardiser.fit(names, raw), said)
    stack._samples[sample, seed] = drawn, raw
    return stack


def feature_names(bands: Sequence[str], indices: Sequence[str], texture: Texture | None) -> tuple[str, ...]:
    """Names in the order in which features are stacked."""
    local = texture.of if texture else ()
    return (*bands, *indices, *(f"{name} mean" for name in local), *(f"{name} spread" for name in local))


def compute_index(name: str, reflectance: FloatArray, bands: Sequence[str]) -> FloatArray:
    """One spectral index.

    Args:
        name: Standard name, e.g. `NDVI`.
        reflectance: Shape (band, …), in the order of `bands`.
        bands: Names of the bands.

    Returns:
        Shape (…), float32, finite, within ±10; reflectance below 0.0001 counts as 0.0001, so that normalised
        differences stay within ±1.

    Raises:
        FeatureError: If the index is unknown or needs a band that is missing.
    """
    wanted = set(_lookup(name, tuple(bands))[1].values())
    floored = {band: np.maximum(reflectance[list(bands).index(band)], np.float32(_FLOOR)) for band in wanted}
    return _evaluate(name, floored, tuple(bands))


def available_indices(bands: Sequence[str]) -> tuple[str, ...]:
    """Names of all indices that these bands allow, the common ones first."""
    import spyndex

    common = ("NDVI", "NDWI", "MNDWI", "NDBI", "BSI", "NDMI", "NDSI", "NBR", "EVI", "SAVI", "NDREI")
    rest = [name for name in spyndex.indices if name not in common and name not in _NAMES.values()]
    return tuple(name for name in (*common, *rest) if not _problem(name, bands))


@cache
def _lookup(name: str, bands: tuple[str, ...]) -> tuple[CodeType, dict[str, str], dict[str, float]]:
    """The formula of an index, which band stands for each of its letters, and its constants."""
    problem = _problem(name, bands)
    if problem:
        raise FeatureError(problem)
    import spyndex

    index = spyndex.indices[_NAMES.get(name, name)]
    letters = {letter: band for letter in index.bands if (band := _band_for(letter, bands))}
    constants = {letter: spyndex.constants[letter].default for letter in index.bands if letter not in letters}
    return compile(index.formula, name, "eval"), letters, constants


def _evaluate(name: str, floored: Mapping[str, FloatArray], bands: tuple[str, ...]) -> FloatArray:
    """An index of bands that are already kept above the floor.

    The library's own `computeIndex` does the same, but reads its catalogue from disk at every call, which for small
    tiles takes a hundred times as long as the arithmetic.
    """
    formula, letters, constants = _lookup(name, bands)
    values: dict[str, Any] = {letter: floored[band] for letter, band in letters.items()}
    with np.errstate(all="ignore"):
        found = np.asarray(eval(formula, {"__builtins__": {}}, values | constants), dtype=np.float32)
    if not np.isfinite(found).all():
        found = np.nan_to_num(found, nan=0.0, posinf=_LIMIT, neginf=-_LIMIT)
    return np.clip(found, -_LIMIT, _LIMIT)


def _problem(name: str, bands: Sequence[str]) -> str:
    import spyndex

    key = _NAMES.get(name, name)
    if key not in spyndex.indices:
        return f"There is no spectral index {name!r}. Use a standard name such as NDVI, NDWI, MNDWI, NDBI, BSI or NDMI."
    letters = spyndex.indices[key].bands
    free = [letter for letter in letters if letter in spyndex.constants and spyndex.constants[letter].default is None]
    if free:
        return f"The index {name} has free parameters ({', '.join(free)}) with no usual value, so it is not offered."
    missing = [letter for letter in letters if letter not in spyndex.constants and not _band_for(letter, bands)]
    if missing:
        wanted = [band.name for band in sensor_table().values() if band.spyndex in missing] or missing
        return f"The index {name} needs {', '.join(wanted)}, which the scene does not have (it has {', '.join(bands)})."
    return ""


def _check_index(name: str, bands: Sequence[str]) -> list[str]:
    _, letters, _ = _lookup(name, tuple(bands))
    return [
        "The scene has no B08; indices use B8A for near infrared."
        for letter, band in letters.items()
        if letter == "N" and band == "B8A"
    ]


def _band_for(letter: str, bands: Sequence[str]) -> str | None:
    found = next((band.name for band in sensor_table().values() if band.spyndex == letter and band.name in bands), None)
    if found is None and letter == "N" and "B8A" in bands:
        return "B8A"
    return found


def _point_features(scene: Scene, indices: Sequence[str], numbers: NumberArray) -> FloatArray:
    """Bands and indices of numbers of shape (band, …), not standardised."""
    reflectance = scene.radiometry.apply(numbers)
    if not indices:
        return reflectance
    used = {band for name in indices for band in _lookup(name, scene.bands)[1].values()}
    floored = {band: np.maximum(reflectance[scene.bands.index(band)], np.float32(_FLOOR)) for band in used}
    return np.concatenate([reflectance, *(_evaluate(name, floored, scene.bands)[None] for name in indices)])


def _raw_block(
    scene: Scene, indices: Sequence[str], texture: Texture | None, window: Window
) -> tuple[FloatArray, BoolArray]:
    halo = texture.size // 2 if texture else 0
    outer, inner = pad(window, halo=halo, grid=scene.grid)
    numbers, valid = scene.read_numbers(outer)
    if np.issubdtype(numbers.dtype, np.floating):
        numbers = np.where(valid, numbers, 0)
    values = _point_features(scene, indices, numbers)
    if texture is None:
        return values, valid
    names = (*scene.bands, *indices)
    local = _local_statistics(values[[names.index(name) for name in texture.of]], valid, texture.size)
    return np.concatenate([values, local])[(slice(None), *inner)], valid[inner]


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


def _raw_sample(scene: Scene, indices: Sequence[str], texture: Texture | None, drawn: PixelSample) -> FloatArray:
    """Features of sampled pixels, shape (feature, pixel), not standardised."""
    if texture is None:
        return _point_features(scene, indices, drawn.numbers)
    width = scene.grid.shape[1]
    across = -(-width // BLOCK)
    block_of = (drawn.rows // BLOCK) * across + drawn.cols // BLOCK
    every = blocks(scene.grid)
    used = np.unique(block_of)
    out = np.empty((len(feature_names(scene.bands, indices, texture)), len(drawn)), dtype=np.float32)

    def fill(index: int) -> None:
        values, _ = _raw_block(scene, indices, texture, every[index])
        members = np.flatnonzero(block_of == index)
        rows = drawn.rows[members] - int(every[index].row_off)
        cols = drawn.cols[members] - int(every[index].col_off)
        out[:, members] = values[:, rows, cols]

    for _ in steps(
        ordered_map(fill, [int(index) for index in used]), total=len(used), progress=Silent(), text="Computing texture"
    ):
        pass
    return out
