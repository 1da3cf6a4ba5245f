"""The options of references: rasters and polygons, shipped schemes, own mappings, and what contradicts itself."""

from __future__ import annotations

import argparse
import json

import pytest

from s2dash.cli.map_options import add_reference_options, reference_from
from s2dash.errors import ReferenceMapError
from s2dash.run_settings import ReferenceSettings


def chosen(*arguments: str) -> ReferenceSettings | None:
    parser = argparse.ArgumentParser()
    add_reference_options(parser)
    return reference_from(parser.parse_args(arguments))


def test_the_field_of_polygons_is_taken_along(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps({"1": 80, "Ліс": 10}))
    own = chosen("--reference", "a.gpkg", "--reference-map", str(tmp_path / "map.json"), "--reference-field", "клас")
    assert (own.codes, own.names, own.field) == ({1: 80}, {"Ліс": 10}, "клас")
    shipped = chosen("--reference", "a.shp", "--reference-scheme", "nlcd", "--reference-field", "code")
    assert shipped == ReferenceSettings(path="a.shp", scheme="nlcd", field="code")
    assert chosen("--reference", "a.tif") == ReferenceSettings(path="a.tif")


def test_what_needs_a_file_says_so():
    assert chosen() is None
    with pytest.raises(ReferenceMapError, match="--reference-field need --reference FILE"):
        chosen("--reference-field", "code")


def test_every_shipped_scheme_is_offered():
    parser = argparse.ArgumentParser()
    add_reference_options(parser)
    words = " ".join(parser.format_help().split())
    assert all(name in words for name in ("corine", "dynamic_world", "nlcd", "esri_lulc", "worldcover"))
