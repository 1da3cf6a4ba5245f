"""From an area and dates to a scene in the app: a catalogue on loopback, choosing, loading, and what fails."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from app_pages import button, texts
from streamlit.testing.v1 import AppTest

from s2dash.area import AreaOfInterest
from s2dash.area_budget import area_budget
from s2dash.dashboard.image_search import (
    Asked,
    Awaited,
    Choice,
    Found,
    cost_words,
    download_bytes,
    fetch,
    image_line,
    platform_title,
    search,
    thumbnails,
)
from s2dash.errors import Cancelled, ImageryError, NoImageryError, TooLargeError
from s2dash.features import SEASON_NDVI
from s2dash.grid import full_window
from s2dash.presets import presets
from s2dash.progress import Silent, Tracker
from s2dash.scene import has_data
from s2dash.sources.request import SceneRequest
from s2dash.sources.stac.addresses import Patience

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("after_the_first_visit")
JULY = (date(2023, 7, 1), date(2023, 7, 31))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The archive that the tests of the catalogues use, with bands called as in the sensor's own table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tests" / "sources" / "stac"))
        from server import StacServer
        from stac_archive import Archive

        with StacServer(tmp_path_factory.mktemp("served")) as server:
            found = Archive(server)
            kept = {"catalogue": "planetary-computer"}
            found.add("cloudy", day="2023-07-04", cloud=20.0, seed=2, **kept)
            found.add("fair", day="2023-07-14", cloud=2.0, seed=1, platform="sentinel-2b", **kept)
            found.add("late", day="2023-08-03", cloud=5.0, seed=3, **kept)
            yield found


@pytest.fixture
def area(archive: Any) -> AreaOfInterest:
    """A square kilometre inside the archive's tiles."""
    from stac_archive import outline

    return AreaOfInterest.from_geojson(outline(epsg=32633, left=600_300, top=4_999_700, side_m=900), title="Field")


def opened(area: AreaOfInterest | None, address: str = "", **session: Any) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    first = {"source": "Search", "search_days": JULY, "search_source": "other" if address else "earth-search"}
    if area is not None:
        first["area"] = json.dumps(area.to_json())
    for name, value in (first | session).items():
        app.session_state[name] = value
    app.run()
    app.switch_page("pages/imagery.py").run()
    assert not app.exception
    if address:
        app.text_input(key="search_address").set_value(address).run()
    return app


def clicked(app: AppTest, label: str, *, wait: str) -> AppTest:
    """Press a button and wait until what it began is over."""
    button(app, label).click().run()
    until = time.monotonic() + 30
    while wait in app.session_state and not app.session_state[wait].over:
        assert time.monotonic() < until
        time.sleep(0.05)
    while any(job.running for job in board(app)):
        time.sleep(0.01)
    app.run()
    assert not app.exception
    return app


def board(app: AppTest) -> list[Any]:
    from s2dash.dashboard import state

    return state.server().board.running()


def scene_of(app: AppTest) -> SceneRequest:
    return SceneRequest.from_json(json.loads(app.session_state["scene_request"]))


def test_search_choose_load_and_the_scene_is_shown(space, archive, area):
    app = opened(area, archive.server.url)
    assert "Area: Field, 0.8 km²" in texts(app)
    clicked(app, "Search", wait="image search")
    assert "2 images" in texts(app)
    (table,) = [frame.value for frame in app.dataframe if "coverage" in frame.value]
    assert [str(day)[:10] for day in table["date"]] == ["2023-07-04", "2023-07-14"]
    assert list(table["cloud"]) == [20.0, 2.0]
    assert list(table["coverage"]) == pytest.approx([100, 100])
    assert list(table["platform"]) == ["S2A", "S2B"]
    assert "14 Jul 2023 · 2 % cloud · 100 % of the area" in texts(app)  # the clearest
    assert f"1 image: {area.pixels:,} pixels" in texts(app)
    clicked(app, "Load", wait="image load")
    assert not app.error
    asked = scene_of(app)
    assert Path(asked.location).parent == space.folder / "scenes" / "fetched"
    scene = asked.load()
    assert scene.grid == area.utm_grid()
    assert str(scene.provenance.acquired) == "2023-07-14"
    assert "Field_2023-07-14" in asked.location
    assert "**Sentinel-2 2023-07-14" in texts(app)
    height, width = scene.grid.shape
    assert f"{width} × {height}" in {metric.value for metric in app.metric}
    again = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()  # after a restart it is still there
    assert scene_of(again).location == asked.location
    before = archive.server.file_requests, Path(asked.location).stat().st_mtime_ns
    clicked(app, "Load", wait="image load")  # what is here is neither downloaded nor written again
    assert (archive.server.file_requests, Path(asked.location).stat().st_mtime_ns) == before
    assert scene_of(app) == asked


def test_one_image_or_a_composite_of_those_ticked(space, archive, area):
    summer = (date(2023, 7, 1), date(2023, 8, 31))
    app = clicked(opened(area, archive.server.url, search_days=summer), "Search", wait="image search")
    app.segmented_control(key="search_way").set_value("one").run()
    app.selectbox(key="search_one").set_value("cloudy").run()
    clicked(app, "Load", wait="image load")
    assert str(scene_of(app).load().provenance.acquired) == "2023-07-04"
    app.segmented_control(key="search_way").set_value("median").run()
    assert app.multiselect(key="search_many").value == ["cloudy", "fair", "late"]
    app.multiselect(key="search_many").set_value(["fair", "late"]).run()
    assert "2 images: " in texts(app)
    clicked(app, "Load", wait="image load")
    made = Path(scene_of(app).location)
    assert "2023-07_2023-08_median_2" in made.name
    assert scene_of(app).load().provenance.acquired is None  # of many days, no day
    assert made.with_name(made.stem + "_season.tif").is_file()
    clusters = app.switch_page("pages/clusters.py").run()
    assert clusters.multiselect(key="season").value == list(SEASON_NDVI)
    app.switch_page("pages/imagery.py").run()
    app.multiselect(key="search_many").set_value([]).run()
    assert button(app, "Load").disabled


def test_without_an_area_nothing_is_searched_and_another_area_asks_for_another_search(space, archive, area):
    app = opened(None, archive.server.url)
    assert "Choose an area first" in texts(app)
    assert button(app, "Search").disabled
    app = clicked(opened(area, archive.server.url), "Search", wait="image search")
    other = AreaOfInterest.from_bbox(34.9, 48.4, 35.1, 48.5)
    app.session_state["area"] = json.dumps(other.to_json())
    app.run()
    assert "The area has changed since the last search" in texts(app)
    assert "Load" not in {found.label for found in app.button}


def test_nothing_found_says_what_to_loosen(space, archive, area):
    app = opened(area, archive.server.url, search_cloud=1)
    clicked(app, "Search", wait="image search")
    (error,) = [element.value.replace("\\", "") for element in app.error]
    assert "allow more cloud than 1 %" in error
    assert "Load" not in {found.label for found in app.button}
    assert "without the internet" not in texts(app)


def test_no_internet_is_said_in_words_with_the_way_out(space, area, monkeypatch):
    monkeypatch.setattr("s2dash.sources.stac.search.Patience", lambda: Patience(attempts=2, delay_s=0.01, timeout_s=2))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    app = clicked(opened(area, address), "Search", wait="image search")
    assert "cannot be searched" in texts(app)
    assert "without the internet" in texts(app)
    assert "Traceback" not in texts(app)
    assert not button(app, "Search").disabled


def test_no_address_no_search_and_a_wrong_one_is_said(space, area):
    app = opened(area, "nonsense")
    clicked(app, "Search", wait="image search")
    assert "is no catalogue" in texts(app)
    app.text_input(key="search_address").set_value(" ").run()
    assert button(app, "Search").disabled


def test_too_large_an_area_is_refused(space, archive, area, monkeypatch):
    country, before = AreaOfInterest.from_bbox(28, 46, 38, 51), len(archive.server.searches)
    app = clicked(opened(country, archive.server.url), "Search", wait="image search")
    assert "At most 100,000 km²" in texts(app)
    assert len(archive.server.searches) == before
    app = clicked(opened(area, archive.server.url), "Search", wait="image search")
    monkeypatch.setattr("s2dash.area_budget.available_bytes", lambda: 300 * 1024**2)
    app.run()
    assert "Too large" in texts(app)
    assert button(app, "Load").disabled


def test_a_place_to_try_fills_in_area_dates_and_clouds(space):
    app = opened(None)
    app.selectbox(key="search_preset").set_value("dubbo").run()
    assert not app.exception
    preset = presets()["dubbo"]
    chosen = AreaOfInterest.from_json(json.loads(app.session_state["area"]))
    assert chosen.bounds == pytest.approx(preset.bbox)
    assert "Area: Dubbo, Australia" in texts(app)
    assert app.selectbox(key="search_preset").value == "dubbo"
    assert tuple(app.date_input(key="search_days").value) == preset.season(datetime.now(UTC).date())
    assert app.slider(key="search_cloud").value == preset.max_cloud
    assert not button(app, "Search").disabled
    next(found for found in app.button if found.label == "Forget area").click().run()
    assert app.selectbox(key="search_preset").value is None


def test_the_form_speaks_ukrainian(space, area):
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in {"language": "uk", "source": "Search", "area": json.dumps(area.to_json())}.items():
        app.session_state[name] = value
    app.run()  # once: AppTest reads what is written on lists outside the session, where English is spoken
    assert not app.exception
    assert "Шукати" in {found.label for found in app.button}
    assert "Територія: Field" in texts(app)


# ---- without a page


def found_in(archive: Any, area: AreaOfInterest) -> Found:
    return search(Asked(area, *JULY, 60.0, archive.server.url), Silent())


def test_an_outline_that_is_no_box_cuts_the_scene(archive, tmp_path):
    from stac_archive import outline

    square = AreaOfInterest.from_geojson(outline(epsg=32633, left=600_300, top=4_999_700, side_m=900)).geometry
    half = AreaOfInterest.from_geometry(
        shapely.Polygon([*square.exterior.coords[:3], square.exterior.coords[0]]), title="Half"
    )
    whole = AreaOfInterest.from_bbox(*square.bounds)
    cut = fetch(Choice(found_in(archive, half), "clearest"), tmp_path / "a", Silent()).request
    kept = fetch(Choice(found_in(archive, whole), "clearest"), tmp_path / "b", Silent()).request
    assert cut.area == half.geojson
    assert kept.area is None
    scenes = [request.load() for request in (cut, kept)]
    shares = [has_data(scene.source.read(scene.bands, full_window(scene.grid))).mean() for scene in scenes]
    assert shares == pytest.approx([0.5, 1.0], abs=0.03)


def test_stopping_leaves_no_scene_and_the_next_time_goes_on(archive, area, tmp_path):
    class Stopping(Tracker):
        def report(self, share: float, text: str) -> None:
            if text == "Writing the scene":
                self.cancel()
            super().report(share, text)

    choice, waiting = Choice(found_in(archive, area), "clearest"), Awaited[Any]()
    with pytest.raises(Cancelled):
        waiting.work(lambda progress: fetch(choice, tmp_path, progress))(Stopping())
    assert waiting.over
    assert not waiting.broken
    assert not list(tmp_path.glob("*.tif"))
    (block,) = tmp_path.glob("images/*/*.tif")  # what was downloaded stays
    before = block.stat().st_mtime_ns
    assert Path(fetch(choice, tmp_path, Silent()).request.location).is_file()
    assert block.stat().st_mtime_ns == before


def test_names_of_files_tell_scenes_apart(archive, area):
    found = found_in(archive, area)
    both = tuple(image.id for image in found.images)
    choices = [("clearest", ()), ("one", both[:1]), ("median", both), ("best", both)]
    names = [Choice(found, way, ids).file_name() for way, ids in choices]
    assert len(set(names)) == 4
    assert Choice(found, "one", ("fair",)).file_name() == names[0]  # the clearest, chosen by hand
    assert all(name == Path(name).name and name.endswith(".tif") for name in names)


def test_work_leaves_what_it_made_or_why_it_cannot():
    def stop(_: Any) -> int:
        raise Cancelled("Stopped.")

    def fail(_: Any) -> int:
        raise ImageryError("No.")

    good, stopped, failed = Awaited[int](), Awaited[int](), Awaited[int]()
    assert good.work(lambda _: 3)(Silent()) == 3
    assert (good.over, good.value, good.broken) == (True, 3, False)
    for waiting, work, broken in ((stopped, stop, False), (failed, fail, True)):
        with pytest.raises((Cancelled, ImageryError)):
            waiting.work(work)(Silent())
        assert (waiting.over, waiting.value, waiting.broken) == (True, None, broken)


def test_thumbnails_are_shown_where_they_can_be_had(archive, area):
    from PIL import Image

    found = found_in(archive, area)
    assert thumbnails(found.images) == {}  # the archive names them and has none
    Image.new("RGB", (400, 200), "green").save(archive.server.folder / "fair.jpg", "JPEG")
    (archive.server.folder / "cloudy.jpg").write_bytes(b"no picture")
    pictures = thumbnails(found.images)
    assert list(pictures) == ["fair"]
    assert pictures["fair"].startswith(b"\x89PNG")


def test_what_a_download_takes_grows_with_images_and_area(area):
    one = download_bytes((2000, 2000), 1)
    # four bands at 10 m, six and the classification at 20 m, a block of 1024 pixels more each way, two bytes each
    assert one == 2 * (4 * 3024**2 + 7 * 2024**2)
    assert download_bytes((2000, 2000), 3) == 3 * one
    assert "3 images" in cost_words(area_budget(area), 3)


def test_what_is_refused_before_anything_is_asked(archive):
    with pytest.raises(TooLargeError):
        search(Asked(AreaOfInterest.from_bbox(28, 46, 38, 51), *JULY, 60.0, archive.server.url), Silent())
    with pytest.raises(NoImageryError):
        found_in(archive, AreaOfInterest.from_bbox(10, 10, 10.1, 10.1))


def test_satellites_as_people_call_them(archive, area):
    assert [platform_title(name) for name in ("sentinel-2a", "sentinel-2", "")] == ["Sentinel-2A", "Sentinel-2", ""]
    assert image_line(found_in(archive, area).images[1]) == "14 Jul 2023 · 2 % cloud · 100 % of the area · Sentinel-2B"
