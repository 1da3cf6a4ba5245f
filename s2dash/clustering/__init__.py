"""From features to clusters."""

from s2dash.clustering.cluster import METHODS, cluster, predict_map
from s2dash.clustering.model import ClusterMap, FittedModel

__all__ = ["METHODS", "ClusterMap", "FittedModel", "cluster", "predict_map"]
