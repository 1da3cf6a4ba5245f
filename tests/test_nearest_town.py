from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from s2dash import nearest_town as towns
from s2dash.nearest_town import nearest_town


def test_well_known_places():
    kyiv = nearest_town(50.45, 30.52)
    assert (kyiv.country, kyiv.distance_km < 10) == ("UA", True)
    assert nearest_town(-33.45, -70.66).country == "CL"


@settings(max_examples=15, deadline=None)
@given(latitude=st.floats(-80, 80), longitude=st.floats(-180, 180))
def test_no_town_is_nearer_on_the_ellipsoid(latitude, longitude):
    found = nearest_town(latitude, longitude)
    _, degrees = towns._towns()
    count = len(degrees)
    _, _, metres = Geod(ellps="WGS84").inv([longitude] * count, [latitude] * count, degrees[:, 1], degrees[:, 0])
    nearest = min(metres) / 1000
    assert found.distance_km == pytest.approx(nearest, rel=0.006, abs=0.1)  # the sphere is off by at most 0.56 %


def test_beyond_the_180th_meridian_is_the_same_place():
    assert nearest_town(-18.1, 178.4).name == nearest_town(-18.1, 178.4 - 360).name
