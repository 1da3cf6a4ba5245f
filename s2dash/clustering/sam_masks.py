"""Outlines of everything in a picture by Segment Anything, and one map of segments made of them.

The automatic use of the network as published (Kirillov et al. 2023, section 5 and appendix B): it is asked what lies at
each point of a grid, and masks are kept that it thinks good itself and that hardly change with the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2dash.clustering.segments import SegmentArray
from s2dash.progress import Progress, Silent
from s2dash.types import BoolArray, FloatArray, NumberArray

LEAST_IOU = 0.88
"""Least quality that the network predicts for a mask it made; as published."""
LEAST_STABILITY = 0.95
"""Least overlap of the masks at the thresholds -1 and 1; as published."""
MOST_OVERLAP = 0.7
"""Of two masks whose boxes overlap more, the one of lower predicted quality goes; as published."""
LEAST_PIXELS = 9
"""Smaller masks are dropped, and smaller leftovers join their neighbour."""
MOST_SHARE = 0.25
"""A mask of more of a block than this is background with holes rather than an object."""
_BATCH = 8
"""Points asked at once: below a second on two cores, so that work can be cancelled."""
_TEXT = "Outlining objects"


@dataclass(frozen=True)
class Masks:
    """Outlines that passed, the best first."""

    inside: BoolArray
    """Shape (mask, y, x)."""
    quality: FloatArray
    """What the network thinks of each, about 0-1, shape (mask,), falling."""


def automatic_masks(
    network: Any,
    prepare: Any,
    picture: NDArray[np.uint8],
    valid: BoolArray,
    *,
    points: int,
    progress: Progress | None = None,
) -> Masks:
    """Outline what a grid of points lies on.

    Args:
        network: `transformers.SamModel`.
        prepare: `transformers.SamImageProcessorPil`.
        picture: Shape (y, x, 3).
        valid: Shape (y, x); elsewhere nothing is asked, and masks end.
        points: Prompts along the longer side.
        progress: Where to report, every second or so.
    """
    import torch

    watch = progress or Silent()
    height, width = valid.shape
    where = torch.device(next(network.parameters()).device)
    found: list[tuple[float, tuple[int, int, int, int], NDArray[np.uint8]]] = []
    with torch.inference_mode():
        prepared = prepare(images=picture, return_tensors="pt")
        rows, cols = (int(side) for side in prepared["reshaped_input_sizes"][0])
        padded = tuple(int(side) for side in prepared["pixel_values"].shape[-2:])
        layers = list(network.vision_encoder.layers)
        hooks = [
            layer.register_forward_hook(lambda *_, done=done: watch.report(0.4 * (done + 1) / len(layers), _TEXT))
            for done, layer in enumerate(layers)
        ]
        try:
            embedding = network.get_image_embeddings(prepared["pixel_values"].to(where))
        finally:
            for hook in hooks:
                hook.remove()
        asked = grid_points(valid, points=points)
        scale = np.array([cols / width, rows / height])
        batch = _BATCH if where.type == "cpu" else 8 * _BATCH
        for start in range(0, len(asked), batch):
            watch.report(0.4 + 0.6 * start / len(asked), _TEXT)
            prompts = torch.as_tensor(asked[start : start + batch] * scale, dtype=torch.float32, device=where)
            answer = network(image_embeddings=embedding, input_points=prompts[None, :, None], multimask_output=True)
            quality = answer.iou_scores.flatten()
            good = quality > LEAST_IOU
            if not bool(good.any()):
                continue
            logits = answer.pred_masks.flatten(0, 2)[good][:, None].float()
            # as published: enlarged to the network's input, its padding cut off, then brought to the picture
            logits = torch.nn.functional.interpolate(logits, padded, mode="bilinear", align_corners=False)
            logits = logits[..., :rows, :cols]
            logits = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
            for score, values in zip(quality[good].tolist(), logits[:, 0].cpu().numpy(), strict=True):
                inside = (values > 0) & valid
                count = int(inside.sum())
                if LEAST_PIXELS <= count <= MOST_SHARE * inside.size and stability(values) >= LEAST_STABILITY:
                    found.append((score, box_of(inside), np.packbits(inside)))
    found.sort(key=lambda mask: -mask[0])
    quality_sorted = np.array([mask[0] for mask in found])
    kept = suppress_overlaps(np.array([mask[1] for mask in found], dtype=np.int64).reshape(-1, 4))
    unpacked = [np.unpackbits(found[index][2], count=valid.size).view(bool).reshape(valid.shape) for index in kept]
    return Masks(np.array(unpacked, dtype=bool).reshape(-1, height, width), quality_sorted[kept])


def grid_points(valid: BoolArray, *, points: int) -> FloatArray:
    """Centres of a grid of square cells, `points` along the longer side, where valid: shape (point, 2), x and y."""
    height, width = valid.shape
    cell = max(height, width) / points
    x, y = (((np.arange(n) + 0.5) * side / n) for side in (width, height) for n in [max(round(side / cell), 1)])
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    inside: FloatArray = grid[valid[grid[:, 1].astype(int), grid[:, 0].astype(int)]]
    return inside


def stability(logits: FloatArray) -> float:
    """Overlap (intersection over union) of the masks at the thresholds 1 and -1, 0-1."""
    wide = int((logits > -1).sum())
    return int((logits > 1).sum()) / wide if wide else 0.0


def box_of(inside: BoolArray) -> tuple[int, int, int, int]:
    """First and last column and row, plus one: left, top, right, bottom."""
    rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1


def suppress_overlaps(boxes: NumberArray) -> NDArray[np.int64]:
    """Non-maximum suppression: which boxes stay when each drops the later ones it overlaps too much.

    Args:
        boxes: Left, top, right, bottom, shape (box, 4), the best first.

    Returns:
        Indices of those that stay, rising.
    """
    left, top, right, bottom = boxes.astype(np.float64).T
    area = (right - left) * (bottom - top)
    waiting = np.arange(len(boxes))
    kept = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(best)
        across = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        down = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        common = np.maximum(across, 0) * np.maximum(down, 0)
        waiting = rest[common <= MOST_OVERLAP * (area[best] + area[rest] - common)]
    return np.array(kept, dtype=np.int64)


def paint(masks: BoolArray) -> SegmentArray:
    """One segment a mask, small ones over large ones: shape (y, x), 0 where there is no mask.

    Args:
        masks: Shape (mask, y, x).
    """
    segments = np.zeros(masks.shape[1:], dtype=np.int32)
    order = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")
    for number, index in enumerate(order, start=1):
        segments[masks[index]] = number
    return segments


def fill_gaps(segments: SegmentArray, superpixels: SegmentArray) -> SegmentArray:
    """Segments where there are any, superpixels elsewhere, and no crumbs: pieces below nine pixels join a neighbour.

    Args:
        segments: Shape (y, x), 0 = none.
        superpixels: Shape (y, x), 0 = not valid.

    Returns:
        Shape (y, x): 0 exactly where `superpixels` is.
    """
    from scipy.ndimage import distance_transform_edt

    valid = superpixels > 0
    filled = np.where(segments > 0, segments, superpixels + segments.max(initial=0))
    filled[~valid] = 0
    sizes = np.bincount(filled.ravel())
    large = sizes >= LEAST_PIXELS
    large[0] = False
    crumbs = valid & ~large[filled]
    if crumbs.any() and large.any():
        rows, cols = distance_transform_edt(~large[filled], return_distances=False, return_indices=True)
        filled = np.where(crumbs, filled[rows, cols], filled)
    return filled.astype(np.int32)
