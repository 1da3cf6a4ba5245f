"""From features to clusters."""

from s2dash.clustering.cluster import K, cluster
from s2dash.clustering.kmeans import check_k
from s2dash.clustering.methods import METHODS, Method, Option, method_entry
from s2dash.clustering.model import ClusterMap, FittedModel
from s2dash.clustering.predict import predict_map, product_map
from s2dash.clustering.saved import SavedModel

__all__ = [
    "METHODS",
    "ClusterMap",
    "FittedModel",
    "K",
    "Method",
    "Option",
    "SavedModel",
    "check_k",
    "cluster",
    "method_entry",
    "predict_map",
    "product_map",
]
