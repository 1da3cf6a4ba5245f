"""The one verb: from features to a cluster map, whatever the method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from s2dash.clustering.effort import expected_effort
from s2dash.clustering.kmeans import check_k
from s2dash.clustering.methods import method_entry
from s2dash.clustering.model import ClusterMap
from s2dash.clustering.predict import label_scene
from s2dash.clustering.sweep import propose_k
from s2dash.errors import ClusteringError
from s2dash.features import DEFAULT_SAMPLE, FeatureStack
from s2dash.progress import Progress, Silent, Stage, timetable

K = int | Literal["auto"]
"""A number of clusters, or the wish that one be proposed."""


def cluster(
    features: FeatureStack,
    *,
    method: str = "kmeans",
    k: K = 12,
    seed: int = 0,
    sample: int = DEFAULT_SAMPLE,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ClusterMap:
    """Group the pixels of a scene by likeness.

    Fits on a seeded sample of valid pixels and labels every block; same input, same map.

    Args:
        features: What to look at.
        method: One of `METHODS`.
        k: Number of clusters, 2 … 254; `"auto"` sweeps over several and takes the one proposed. Methods that find the
            number themselves (`dbscan`, `hdbscan`) leave it unused.
        seed: Of sample and starts.
        sample: Pixels to fit on; fewer are used where there are fewer.
        options: Settings of the method's own: see `METHODS[method].options`.
        progress: Where to report, and through which to cancel.

    Raises:
        ClusteringError: If the method is unknown or a setting is out of range.
        SampleError: If sample size or seed is out of range.
        TooFewDistinctPixelsError: If the scene has fewer distinct pixels than `k`.
        NoValidPixelsError: If no pixel is valid.
        TooLargeError: If it would not fit in memory.
    """
    entry = method_entry(method)
    chosen = entry.check_options(options or {})
    watch = progress or Silent()
    record: dict[str, Any] = {}
    height, width = features.grid.shape
    effort = expected_effort(method, pixels=height * width, k=k, options=chosen)
    stages = timetable(watch, sweep=effort.sweep, fit=effort.fit, label=effort.label)
    if entry.takes_k:
        check_k(k)
        if k == "auto":
            drawn = features.sample(sample, seed=seed, progress=Stage(stages["sweep"], 0.0, 0.1))
            sweep = propose_k(drawn, seed=seed, progress=Stage(stages["sweep"], 0.1, 1.0))
            k, record["k_sweep"] = sweep.proposed, sweep.to_json()
        if sample < k:
            raise ClusteringError(f"A sample of {sample} pixels cannot make {k} clusters. Draw at least some hundred.")
    model = entry.fit(features, k=k, seed=seed, sample=sample, progress=stages["fit"], **chosen)
    labels, notes = label_scene(features, model, progress=stages["label"])
    settings = {
        **model.describe(),
        **record,
        "options": chosen,
        "sample": sample,
        "standardiser": features.scaler.to_json(),
        "notes": [*model.notes, *notes],
    }
    return ClusterMap(grid=features.grid, labels=labels, model=model, settings=settings)
