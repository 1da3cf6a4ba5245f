"""From features to clusters."""

from s2dash.clustering.cluster import METHODS, cluster, predict_map
from s2dash.clustering.kmeans import check_k
from s2dash.clustering.model import ClusterMap, FittedModel

__all__ = ["METHODS", "ClusterMap", "FittedModel", "check_k", "cluster", "predict_map"]
