"""The catalogue of methods: settings are checked in words before any work is done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dash.clustering.kmeans import check_k
from s2dash.clustering.methods import METHODS, PRODUCTS, Option, method_entry
from s2dash.clustering.model import FittedModel
from s2dash.errors import ClusteringError

EPS = Option("eps", "Reach", None, kind=float, least=0.1, most=5.0)
SIZE = Option("size", "Size", 4, least=2, most=9)
SIDE = Option("side", "Side", 3, choices=(1, 3, 5))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_there_and_its_defaults_are_allowed(name):
    method = method_entry(name)
    assert callable(method.fit)
    assert issubclass(method.model_class, FittedModel)
    assert method.model_class.method == name
    assert set(method.model_class.products) <= set(PRODUCTS)
    assert method.check_options({}) == {option.name: option.default for option in method.options}
    assert method.summary.endswith(".")
    for option in method.options:
        assert option.check(option.default) == option.default
        assert option.help


def test_names_on_the_command_line():
    assert set(METHODS) == {"kmeans", "dbscan", "hdbscan", "gmm", "autoencoder", "deep", "slic", "sam", "unet"}


def test_text_from_a_command_line_becomes_a_number():
    assert EPS.check("0.5") == 0.5
    assert SIZE.check("7") == 7
    assert EPS.check("") is None
    assert EPS.check(None) is None


@given(st.integers(2, 9))
def test_whole_numbers_in_range_stay(number):
    assert SIZE.check(number) == number
    assert SIZE.check(float(number)) == number


@pytest.mark.parametrize("value", [1, 10, -3, 2.5, "x", float("nan"), float("inf"), None, "", [3]])
def test_what_is_out_of_range_or_no_number_is_refused(value):
    with pytest.raises(ClusteringError, match="Size"):
        SIZE.check(value)


@pytest.mark.parametrize("value", [0.05, 5.1, float("nan"), "wide"])
def test_optional_numbers_are_checked_too(value):
    with pytest.raises(ClusteringError, match="Reach"):
        EPS.check(value)


def test_only_the_choices_there_are():
    assert SIDE.check("5") == 5
    with pytest.raises(ClusteringError, match="1, 3, 5"):
        SIDE.check(4)


def test_unknown_names_list_what_there_is():
    with pytest.raises(ClusteringError, match="kmeans"):
        method_entry("k-means")
    with pytest.raises(ClusteringError, match="eps"):
        method_entry("dbscan").check_options({"epsilon": 1})


@pytest.mark.parametrize("k", [5.0, "5", True])
def test_a_number_of_clusters_that_is_no_whole_number(k):
    with pytest.raises(ClusteringError, match="whole number"):
        check_k(k)


def test_a_number_of_clusters_of_numpy_is_one():
    check_k(np.int64(5))
