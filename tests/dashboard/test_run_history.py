"""One history of all that people did to a run, in order, on the page Labels and as a table."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest
from app_pages import opened, texts

from s2dash.check_points import draw_check_points, judged_edit, sample_designs, sample_edit
from s2dash.corrections import area_edit
from s2dash.dashboard.agreement_tables import csv_bytes
from s2dash.dashboard.run_history import Deed, history_rows, run_history
from s2dash.map_edit import MapEdit
from s2dash.map_history import restoration, withdrawal
from s2dash.reference_points import centres_of
from s2dash.workspace import Workspace

pytestmark = pytest.mark.usefixtures("after_the_first_visit")


def deeds(space: Workspace, run: str) -> tuple[Deed, ...]:
    return run_history(space.open_run(run), space.store.events(run))


def square(space: Workspace, run: str) -> dict[str, object]:
    (west, east), (north, south) = (
        sorted(values) for values in centres_of([2, 12], [2, 12], space.open_run(run).clusters.grid)
    )
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.fixture
def worked(space: Workspace, run: str) -> str:
    """A run to which two people did one thing of every kind, one after the other."""
    space.override(run, 1, 10, who="Ada", why="dark")
    space.note(run, 2, "a quarry?", who="Ben")
    area = area_edit(square(space, run), 60, landcover=space.open_run(run).landcover, who="Ada", why="bare")
    space.change_map(run, area)
    space.edit_clusters(run, "merge", clusters=(3, 4), who="Ben")
    kept = space.open_run(run).map_edits[0]
    space.change_map(run, withdrawal(kept, who="Ben", why="it is not"))
    space.change_map(run, restoration(kept, who="Ada"))
    design = draw_check_points(space.open_run(run).landcover, 8, 0)
    space.change_map(run, sample_edit(design, who="Ada"))
    space.undo(run, who="Ben")
    space.change_map(run, MapEdit("class", {"op": "recolour", "code": 10, "colour": "#008000"}, who="Ada"))
    return run


def test_everything_stands_in_one_order(space, worked):
    found = deeds(space, worked)
    assert [(deed.kind, deed.who) for deed in reversed(found)] == [
        ("label", "Ada"),
        ("note", "Ben"),
        ("area", "Ada"),
        ("clusters", "Ben"),
        ("area", "Ben"),
        ("area", "Ada"),
        ("points", "Ada"),
        ("label", "Ben"),
        ("class", "Ada"),
    ]
    said = {number: deed.what for number, deed in enumerate(reversed(found))}
    assert said[0].endswith("→ Tree cover")
    assert said[1] == "note on 2: a quarry?"
    assert "Bare / sparse vegetation" in said[2]
    assert said[3] == "Merged clusters 3 and 4 into 5"
    assert said[4] == f"taken back: {said[2]}"
    assert said[5] == f"brought back: {said[2]}"
    assert "8" in said[6]
    assert said[7].startswith("undone 1:")
    assert said[8] == "“Tree cover” got the colour #008000"
    assert [deed.why for deed in reversed(found)][:5] == ["dark", "", "bare", "", "it is not"]
    moments = [deed.when for deed in found]
    assert moments == sorted(moments, reverse=True)


def test_judgements_of_places_are_points(space, run):
    design = draw_check_points(space.open_run(run).landcover, 8, 0)
    space.change_map(run, sample_edit(design, who="Ada"))
    (kept,) = sample_designs(space.open_run(run).map_edits)
    scheme = space.open_run(run).legend.scheme
    space.change_map(run, judged_edit(kept, 0, 30, scheme=scheme, who="Ben"))
    newest = deeds(space, run)[0]
    assert (newest.kind, newest.who) == ("points", "Ben")
    assert "Grassland" in newest.what


def test_it_is_read_on_the_page_and_kept_as_a_table(space, worked):
    seen = texts(opened("labels"))
    assert "Merged clusters 3 and 4 into 5" in seen
    assert "taken back:" in seen
    rows = list(csv.DictReader(io.StringIO(csv_bytes(history_rows(deeds(space, worked))).decode("utf-8-sig"))))
    assert [row["About"] for row in rows] == [
        "Label", "Note", "Area", "Clusters", "Area", "Area", "Points", "Label", "Class",
    ]  # fmt: skip
    assert (rows[0]["Who"], rows[0]["Why"]) == ("Ada", "dark")
    assert all(datetime.fromisoformat(row["When"]).tzinfo is not None for row in rows)


def test_a_run_nobody_touched_has_none(space, run):
    assert deeds(space, run) == ()
    assert history_rows(()) == []
    assert "Nobody has changed anything yet." in texts(opened("labels"))


def test_the_past_is_told_in_the_words_of_its_time(space, run):
    space.override(run, 1, 10, who="Ada")
    space.override(run, 1, 10, who="Ben")
    rename = MapEdit("class", {"op": "rename", "code": 10, "names": {"en": "Woods"}}, who="Ada")
    space.change_map(run, rename)
    space.change_map(run, MapEdit("class", {"op": "rename", "code": 10, "names": {"en": "Forest"}}, who="Ada"))
    space.override(run, 2, 10, who="Ada")
    said = [deed.what for deed in reversed(deeds(space, run))]
    assert said[0].endswith("→ Tree cover")
    assert said[1:4] == ["accepted 1: Tree cover", "“Tree cover” became “Woods”", "“Woods” became “Forest”"]
    assert said[4].endswith("→ Forest")
