"""From a fitted model to a map: every block of a scene is labelled, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from rasterio.windows import Window

from s2dash.clustering.kmeans import TILE, KMeansModel
from s2dash.clustering.model import FittedModel, PixelModel
from s2dash.errors import ClusteringError, ModelMismatchError, NoValidPixelsError, TooLargeError
from s2dash.features import FeatureStack
from s2dash.grid import BLOCK, blocks, pad, slices
from s2dash.memory import available_bytes, spacious_zeros
from s2dash.parallel import ordered_map, workers
from s2dash.progress import Progress, Silent, steps
from s2dash.scheduler import cluster_map, scheduler_address
from s2dash.types import FloatArray, LabelArray, NumberArray

LEAST_BLOCK = 64
"""Smallest block that is tried before a scene is refused for want of memory, pixels."""
_SHARE = 0.5
"""Share of the free memory that blocks under way may take; the rest is for the maps and for others."""
_MIB = 1024**2


@dataclass(frozen=True)
class BlockPlan:
    """In what blocks a model is applied."""

    side: int
    """Side of the blocks, pixels."""
    threads: int
    """How many are under way at once."""
    notes: tuple[str, ...]
    """What the person should know of it: that memory was short, and in what blocks the scene was labelled then."""


def label_scene(
    features: FeatureStack, model: FittedModel, *, progress: Progress | None = None
) -> tuple[LabelArray, tuple[str, ...]]:
    """Label a scene in the blocks that memory allows.

    Args:
        features: Of the scene.
        model: The model.
        progress: Where to report.

    Returns:
        The labels as of `predict_map`, and what the person should know of how they were made, in whole sentences.

    Raises:
        S2DashError: As `predict_map`.
    """
    check_features(features, model)
    plan = plan_blocks(features, model)
    labels = _labels(features, model, plan, progress or Silent())
    return labels, (*plan.notes, *_noise_note(labels, model))


def predict_map(
    features: FeatureStack, model: FittedModel, *, progress: Progress | None = None, block: int | None = None
) -> LabelArray:
    """Label every valid pixel of a scene with a fitted model.

    Args:
        features: Of the scene; standardise those of another scene like the one the model was fitted on.
        model: The model.
        progress: Where to report.
        block: Side of the blocks, pixels; by default as memory allows (`plan_blocks`).

    Returns:
        Shape (y, x), uint8: 0 = no data, 1 … K.

    Raises:
        ModelMismatchError: If the model was fitted on other features.
        NoValidPixelsError: If no pixel is valid.
        TooLargeError: If not even the smallest blocks fit in memory, or the map fits neither there nor on disk.
        SchedulerError: If the dask cluster that was named cannot do it.
    """
    check_features(features, model)
    plan = BlockPlan(block, workers(), ()) if block else plan_blocks(features, model)
    return _labels(features, model, plan, progress or Silent())


def _labels(features: FeatureStack, model: FittedModel, plan: BlockPlan, watch: Progress) -> LabelArray:
    labels = spacious_zeros(features.grid.shape, np.uint8)
    windows = blocks(features.grid, side=plan.side)
    if address := scheduler_address():
        done = cluster_map(_label_on_worker, (features, model), windows, address=address)
        for window, found in steps(done, total=len(windows), progress=watch, text="Labelling pixels"):
            labels[slices(window)] = found
    else:

        def label(window: Window) -> None:
            labels[slices(window)] = _label_block(features, model, window)

        _every_block(label, windows, model, plan.threads, progress=watch, text="Labelling pixels")
    if not any(labels[slices(window)].any() for window in windows):
        raise NoValidPixelsError("No pixel of the scene is valid, so there is nothing to label.")
    return labels


def _noise_note(labels: LabelArray, model: FittedModel) -> tuple[str, ...]:
    if model.noise is None:
        return ()
    share = np.count_nonzero(labels == model.noise) / np.count_nonzero(labels)
    return (f"Cluster {model.noise} is the noise: {100 * share:.0f} % of the pixels, which belong to no dense group.",)


def product_map(
    features: FeatureStack, model: FittedModel, name: str, *, progress: Progress | None = None
) -> FloatArray:
    """One of the maps a model makes besides the labels.

    Args:
        features: Of the scene.
        model: The model.
        name: One of `model.products`.
        progress: Where to report.

    Returns:
        Shape (y, x), float32, NaN where not valid.

    Raises:
        ClusteringError: If the model makes no such map.
        ModelMismatchError: If the model was fitted on other features.
        TooLargeError: If not even the smallest blocks fit in memory.
    """
    if name not in model.products:
        offered = ", ".join(model.products) or "none"
        raise ClusteringError(f"A model of the method {model.method} makes no map {name!r}; it makes: {offered}.")
    check_features(features, model)
    height, width = features.grid.shape
    if 4 * height * width > available_bytes():
        raise TooLargeError(
            f"The map {name!r} of {width:,} × {height:,} pixels needs {4 * height * width / 1024**2:,.0f} MiB; "
            f"{available_bytes() / 1024**2:,.0f} MiB are free. Choose a smaller area."
        )
    made = np.full((height, width), np.nan, dtype=np.float32)

    def fill(window: Window) -> None:
        outer, inner = pad(window, halo=model.halo, grid=features.grid)
        values, valid = features.block(outer)
        if valid.any():
            found = model.product(name, values, valid)
            made[slices(window)] = np.where(valid, found, np.nan)[inner]

    plan = plan_blocks(features, model)
    windows = blocks(features.grid, side=plan.side)
    _every_block(fill, windows, model, plan.threads, progress=progress or Silent(), text="Making a map")
    return made


def check_features(features: FeatureStack, model: FittedModel) -> None:
    """Refuse to apply a model to features it was not fitted on.

    Raises:
        ModelMismatchError: If names or their order differ.
    """
    if model.feature_names != features.names:
        raise ModelMismatchError(
            f"The model was fitted on {list(model.feature_names)}, but this scene offers {list(features.names)}. "
            "Choose the same bands and indices, or fit anew."
        )


def plan_blocks(features: FeatureStack, model: FittedModel) -> BlockPlan:
    """Blocks a model is applied in: of those that give the same map, the largest that memory allows.

    Every core is kept busy if the blocks then fit at all; else fewer of them are under way at once.

    Raises:
        TooLargeError: If not even one of the smallest blocks fits in memory.
    """
    free = available_bytes()
    # bands as numbers and as reflectance, features raw and standardised
    per_pixel = 8 * len(features.scene.bands) + 8 * len(features.names) + model.bytes_per_pixel
    around = 2 * (model.halo + features.halo)
    sides, most = _sides(model), workers() if model.threaded else 1
    for threads in range(most, 0, -1):
        for side in sides:
            if threads * per_pixel * (side + around) ** 2 <= _SHARE * free:
                return BlockPlan(side, threads, _short(side, sides[0], threads, most))
    needed = per_pixel * (sides[-1] + around) ** 2 / _SHARE
    raise TooLargeError(
        f"Labelling the scene with {model.method} in blocks of {sides[-1]} × {sides[-1]} pixels, one at a time, needs "
        f"{ceil(needed / _MIB):,} MiB of free memory, but only {free / _MIB:,.0f} MiB are free. Close other programs, "
        "or choose K-Means, fewer features or a smaller texture window."
    )


def _sides(model: FittedModel) -> tuple[int, ...]:
    """Sides of the blocks in which a model gives the same map, the largest first."""
    if model.tile is None:
        return (BLOCK, BLOCK // 2, BLOCK // 4, LEAST_BLOCK)
    return model.tile, *model.smaller_tiles


def _short(side: int, usual: int, threads: int, most: int) -> tuple[str, ...]:
    """That memory is short, if blocks are smaller or fewer at once than usual."""
    if side == usual and threads == most:
        return ()
    here = threads < most and scheduler_address() is None  # a cluster has threads of its own
    slower = f", {threads} at a time instead of {most}, which takes longer" if here else ""
    return (f"Memory is short: the scene was labelled in blocks of {side} × {side} pixels{slower}.",)


def _every_block(
    work: Callable[[Window], None],
    windows: Sequence[Window],
    model: FittedModel,
    threads: int,
    *,
    progress: Progress,
    text: str,
) -> None:
    from threadpoolctl import threadpool_limits

    if not model.threaded:
        for window in steps(windows, total=len(windows), progress=progress, text=text):
            work(window)
        return
    with threadpool_limits(limits=1):  # the blocks already keep every core busy
        done = ordered_map(work, windows, threads=threads)
        for _ in steps(done, total=len(windows), progress=progress, text=text):
            pass


def _label_on_worker(shared: tuple[FeatureStack, FittedModel], window: Window) -> LabelArray:
    """A task of a dask cluster."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # as here: neither more threads than cores, nor other rounding
        return _label_block(*shared, window)


def _label_block(features: FeatureStack, model: FittedModel, window: Window) -> LabelArray:
    if model.halo or not features.pointwise or not isinstance(model, PixelModel):
        outer, inner = pad(window, halo=model.halo, grid=features.grid)
        values, valid = features.block(outer)
        if not valid[inner].any():
            return np.zeros(valid[inner].shape, dtype=np.uint8)
        return np.where(valid, model.label(values, valid), np.uint8(0))[inner]
    numbers, valid = features.scene.read_numbers(window)
    if np.issubdtype(numbers.dtype, np.floating):
        numbers = np.where(valid, numbers, 0)
    flat: NumberArray = numbers.reshape(len(numbers), -1)
    labels = np.empty(flat.shape[1], dtype=np.uint8)
    for start in range(0, len(labels), TILE):  # small enough for bands and features to stay in cache
        part = flat[:, start : start + TILE]
        if features.affine is not None and isinstance(model, KMeansModel):
            gain, shift = features.affine
            labels[start : start + TILE] = model.predict_numbers(part, gain=gain, shift=shift)
        else:
            labels[start : start + TILE] = model.predict(features.of_numbers(part))
    return np.where(valid, labels.reshape(valid.shape), np.uint8(0))
