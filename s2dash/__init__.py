"""s2dash: land cover from Sentinel-2 without training labels.

Each verb takes what the one before returns and can be used alone:

    scene     = s2dash.fetch_scene(area, "2023-06-01", "2023-08-31").load()   # or, from files on disk:
    scene     = s2dash.load_scene("S2B_MSIL2A_….SAFE")
    features  = s2dash.build_features(scene, indices=["NDVI", "NDWI", "NDBI"])
    clusters  = s2dash.cluster(features, k=12, seed=0)
    legend    = s2dash.annotate(clusters, scene, annotators=["rules"])
    landcover = legend.apply(clusters)
    report    = s2dash.agreement(landcover, s2dash.load_worldcover(landcover, year=2021), clusters=clusters)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2dash.annotation.annotate import annotate
    from s2dash.clustering import cluster
    from s2dash.comparison import agreement
    from s2dash.features import build_features
    from s2dash.pipeline import run_chain
    from s2dash.reference import load_worldcover
    from s2dash.reference_files import load_reference
    from s2dash.simulation import simulate_scene
    from s2dash.sources import load_scene
    from s2dash.sources.stac import fetch_scene, search_scenes

__version__ = "0.1.0"

_VERBS = {
    "agreement": "s2dash.comparison",
    "annotate": "s2dash.annotation.annotate",
    "build_features": "s2dash.features",
    "cluster": "s2dash.clustering",
    "fetch_scene": "s2dash.sources.stac",
    "load_reference": "s2dash.reference_files",
    "load_scene": "s2dash.sources",
    "load_worldcover": "s2dash.reference",
    "run_chain": "s2dash.pipeline",
    "search_scenes": "s2dash.sources.stac",
    "simulate_scene": "s2dash.simulation",
}

__all__ = [
    "agreement",
    "annotate",
    "build_features",
    "cluster",
    "fetch_scene",
    "load_reference",
    "load_scene",
    "load_worldcover",
    "run_chain",
    "search_scenes",
    "simulate_scene",
]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first used: `import s2dash` alone costs nothing."""
    if name in _VERBS:
        return getattr(import_module(_VERBS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
