"""Searching a real STAC API on loopback: paging, filters, grouping, waiting, and what is said when nothing is found."""

from __future__ import annotations

import json
import time
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stac_archive import outline

from s2dash.area import AreaOfInterest
from s2dash.errors import ImageryError, NoImageryError
from s2dash.sources.stac import find_catalogue, known_catalogues, search_scenes
from s2dash.sources.stac.addresses import Patience, public_address, without_query, without_secrets
from s2dash.sources.stac.catalogues import Catalogue
from s2dash.sources.stac.choose import by_id, clearest, for_composite
from s2dash.sources.stac.items import outline_of

INSIDE = AreaOfInterest.from_geojson(outline(epsg=32633, left=600_300, top=4_999_700, side_m=900))
JULY = ("2023-07-01", "2023-07-31")


@pytest.fixture
def quick(archive, brisk):
    """Search with little patience."""

    def search(area=INSIDE, first=JULY[0], last=JULY[1], **more):
        more.setdefault("catalogue", archive.catalogue())
        return search_scenes(area, first, last, patience=brisk, **more)

    return search


def bare(archive, identifier, **more):
    """A tile without any file: searching needs none."""
    archive.add(identifier, numbers={}, **more)
    return archive.server.items[-1]


@pytest.mark.parametrize("post", [True, False])
def test_every_page_is_turned(archive, quick, post):
    archive.server.post = post
    for day in range(1, 8):
        bare(archive, f"T{day}", day=f"2023-07-{2 * day:02d}")
    found = quick()
    assert [image.day for image in found] == [date(2023, 7, 2 * day) for day in range(1, 8)]
    assert archive.server.requests["/search"] >= 4


def test_dates_and_clouds_are_asked_of_the_server_and_the_last_day_counts(archive, quick):
    bare(archive, "early", day="2023-06-30", moment="23:59:59")
    bare(archive, "first", day="2023-07-01", moment="00:00:00")
    bare(archive, "cloudy", day="2023-07-10", cloud=41.0)
    bare(archive, "last", day="2023-07-31", moment="23:59:58")
    assert [image.id for image in quick(max_cloud=40)] == ["first", "last"]
    assert archive.server.searches[-1]["query"] == {"eo:cloud_cover": {"lte": 40}}


def test_clouds_are_filtered_here_where_the_server_cannot(archive, quick):
    archive.server.conforms = [each for each in archive.server.conforms if "query" not in each]
    bare(archive, "cloudy", cloud=41.0)
    bare(archive, "fair", day="2023-07-16", cloud=39.0)
    assert [image.id for image in quick(max_cloud=40)] == ["fair"]
    assert "query" not in archive.server.searches[-1]


def test_tiles_of_one_pass_are_one_image_and_cover_more_together(archive, quick):
    bare(archive, "west", left=600_000, cloud=10.0)
    bare(archive, "east", left=602_400, cloud=40.0, moment="09:50:35", place="MGRS-33TYL")
    bare(archive, "other satellite", left=600_000, platform="sentinel-2b", moment="09:51:00")
    box = AreaOfInterest.from_geojson(outline(epsg=32633, left=601_800, top=4_999_700, side_m=800))
    images = quick(box)
    both = next(image for image in images if len(image.tiles) == 2)
    # 600 m of 800 m lie in the western tile, 200 m in the eastern one
    assert both.coverage_percent == pytest.approx(100, abs=0.1)
    assert both.cloud_percent == pytest.approx(0.75 * 10 + 0.25 * 40, abs=0.1)
    assert both.id == "west"
    assert {tile.id for tile in both.tiles} == {"west", "east"}
    single = next(image for image in images if image.platform == "sentinel-2b")
    assert single.coverage_percent == pytest.approx(75, abs=0.1)


def test_of_two_processings_the_newer_baseline_counts(archive, quick):
    bare(archive, "S2A_0", baseline="02.09")
    bare(archive, "S2A_1", baseline="05.00")
    (image,) = quick()
    assert [tile.id for tile in image.tiles] == ["S2A_1"]


def test_least_coverage(archive, quick):
    bare(archive, "half", left=600_000 - 2400 + 750)
    assert 45 < quick()[0].coverage_percent < 55
    with pytest.raises(NoImageryError, match="allow images that cover less than 60 %"):
        quick(min_coverage=60)


def test_an_area_over_the_180th_meridian_is_asked_for_in_two_halves(archive, quick):
    bare(archive, "east", epsg=32660, left=720_000, top=7_000_000, place="MGRS-60VXR", moment="22:40:00")
    item = archive.server.items[-1]
    item["geometry"] = {
        "type": "Polygon",
        "coordinates": [[[179.2, 60], [180, 60], [180, 61], [179.2, 61], [179.2, 60]]],
    }
    bare(archive, "west", place="MGRS-01VCK", moment="22:40:12")
    item = archive.server.items[-1]
    item["geometry"] = {
        "type": "Polygon",
        "coordinates": [[[-180, 60], [-179.2, 60], [-179.2, 61], [-180, 61], [-180, 60]]],
    }
    area = AreaOfInterest.from_bbox(179.9, 60.4, -179.9, 60.5)
    (image,) = quick(area)
    assert {tile.id for tile in image.tiles} == {"east", "west"}
    assert image.coverage_percent == pytest.approx(100, abs=0.01)
    spans = [json.dumps(each["intersects"]) for each in archive.server.searches]
    assert len({span for span in spans if "-1" in span}) == 1
    assert len(set(spans)) == 2


def test_an_outline_drawn_across_the_meridian_is_understood():
    ring = [[179, 60], [-179, 60], [-179, 61], [179, 61], [179, 60]]
    outline = outline_of({"type": "Polygon", "coordinates": [ring]})
    assert outline.bounds == (-180, 60, 180, 61)
    assert outline.area == pytest.approx(2.0)
    assert outline_of({"type": "Point", "coordinates": [1, 2]}) is None


def test_a_busy_service_is_waited_for_as_long_as_it_says(archive, quick):
    bare(archive, "T1")
    archive.server.busy["/search"] = 1
    start = time.monotonic()
    assert len(quick()) == 1
    assert time.monotonic() - start >= 1.0


def test_a_service_that_stays_busy_is_left_in_peace(archive, quick):
    archive.server.busy["/"] = 1000
    with pytest.raises(ImageryError, match="asked too often"):
        search_scenes(INSIDE, *JULY, catalogue=archive.catalogue(), patience=Patience(2, 0.01, 0.1, 5))
    assert archive.server.requests["/"] == 2


def test_sea_only_says_what_to_loosen(archive, quick):
    bare(archive, "T1")
    with pytest.raises(NoImageryError) as raised:
        quick(AreaOfInterest.from_bbox(-30.1, 40.0, -30.0, 40.1), max_cloud=20)
    text = str(raised.value)
    for hint in ("0 tiles were looked at", "more cloud than 20 %", "more than these 31 days", "open sea", "2023-07-01"):
        assert hint in text


def test_thumbnails_never_carry_a_signature(archive, quick):
    item = bare(archive, "T1")
    item["assets"]["thumbnail"]["href"] += "?sig=secret"
    assert quick()[0].thumbnail == ""
    item["assets"]["thumbnail"]["href"] = "https://example.org/preview.png?item=T1&assets=visual"
    assert quick()[0].thumbnail.endswith("assets=visual")


def test_a_static_catalogue_on_disk_is_walked(archive, tmp_path):
    import pystac

    bare(archive, "T1")
    bare(archive, "T2", day="2023-08-02")
    catalogue = pystac.Catalog("static", "Simulated")
    for item in archive.server.items:
        catalogue.add_item(pystac.Item.from_dict({**item, "collection": None, "bbox": [14, 44, 18, 46]}))
    catalogue.normalize_and_save(str(tmp_path / "static"), pystac.CatalogType.SELF_CONTAINED)
    found = search_scenes(INSIDE, *JULY, catalogue=str(tmp_path / "static" / "catalog.json"))
    assert [image.id for image in found] == ["T1"]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2023-07-31", "2023-07-01", "lies after"),
        ("July", "2023-07-01", "is no date"),
        ("2023-02-30", "2023-07-01", "is no date"),
        ("2010-01-01", "2011-01-01", "launched on 2015-06-23"),
    ],
)
def test_days_that_make_no_sense(quick, first, last, said):
    with pytest.raises(ImageryError, match=said):
        quick(first=first, last=last)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/stac?key=secret", "http://me:secret@127.0.0.1:9/stac"])
def test_nothing_secret_in_an_address_is_said(brisk, address):
    with pytest.raises(ImageryError) as raised:
        search_scenes(INSIDE, *JULY, catalogue=address, patience=Patience(1, 0.01, 0.1, 2))
    assert "secret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)
    assert raised.value.__cause__ is None


def test_what_answers_no_catalogue_is_said_plainly(archive, brisk):
    with pytest.raises(ImageryError, match="no STAC catalogue"):
        search_scenes(INSIDE, *JULY, catalogue=f"{archive.server.url}/nothing", patience=brisk)


def test_known_catalogues_and_addresses():
    assert next(iter(known_catalogues())) == "earth-search"
    assert find_catalogue("https://earth-search.aws.element84.com/v1/").name == "earth-search"
    for catalogue in known_catalogues().values():
        for rule in catalogue.collections.values():
            assert {"B02", "B03", "B04", "B08", "B11", "SCL"} <= set(rule.assets)
    with pytest.raises(ImageryError, match="earth-search, planetary-computer, copernicus"):
        find_catalogue("google")


word = st.text("abcdefghijklmnopqrstuvwxyz0123456789%-_", min_size=3, max_size=20)


@given(word, word, word)
def test_a_query_never_survives(path, name, secret):
    secret = f"S{secret}S"
    address = f"https://user:{secret}@host.org/{path}?{name}={secret}&sig={secret}"
    assert secret not in without_query(address)
    assert secret not in without_secrets(f"'/vsicurl/{address}' failed: (HTTP 403, url: /{path}?{name}={secret})")
    assert public_address(address) == ""
    assert public_address(f"https://host.org/{path}?sig={secret}") == ""


def test_choosing(archive, quick):
    for day, cloud in [(2, 30.0), (4, 3.0), (6, 3.0), (20, 50.0), (22, 49.0), (28, 8.0)]:
        bare(archive, f"D{day}", day=f"2023-07-{day:02d}", cloud=cloud)
    found = quick()
    assert clearest(found).id == "D4"
    assert by_id(found, "D22").day.day == 22
    with pytest.raises(NoImageryError, match="D2, D4"):
        by_id(found, "nothing")
    # thirds of the period: 2-10, 11-19 (nothing), 20-28; what is free goes to the clearest left
    assert [image.id for image in for_composite(found, most=3)] == ["D4", "D6", "D28"]
    assert len(for_composite(found, most=50)) == 6
    assert isinstance(archive.catalogue(), Catalogue)
