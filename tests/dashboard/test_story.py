"""The story of a run as values: words and pictures that say what the run holds, and nothing else."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import build_legend
from s2dash.clustering import cluster
from s2dash.colours import AGREE_COLOUR, UNDECIDED_COLOUR, cluster_colours, rgb_of
from s2dash.dashboard import language as tongue
from s2dash.dashboard.story import STEPS, example, sources, story_steps
from s2dash.dashboard.story_page import story_page, story_table
from s2dash.dashboard.story_pictures import SIDE, codes_picture
from s2dash.dashboard.view import ClusterView, SceneView
from s2dash.features import build_features
from s2dash.map_edit import MapEdit
from s2dash.pipeline import RunResult, RunSettings, run_chain
from s2dash.reference import Reference
from s2dash.schemes import load_scheme
from s2dash.testing import make_grid, make_patchwork

SCHEME = load_scheme("worldcover")


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(tongue, "_asked", [])


@pytest.fixture(scope="module")
def made() -> tuple[RunResult, ClusterView]:
    """A run on four stripes of equal size, each with a name."""
    scene, _ = make_patchwork(side=48)
    result = run_chain(scene, RunSettings(k=4, sample=10_000))
    codes = zip(sorted(result.cards), (10, 30, 50, 80), strict=True)
    result = named(result, *(Answer(annotator="rules", cluster=n, code=code, confidence=0.5) for n, code in codes))
    return result, ClusterView(result.clusters, SceneView(scene))


def named(result: RunResult, *answers: Answer) -> RunResult:
    return replace(result, legend=build_legend(answers, scheme=SCHEME, clusters=sorted(result.cards)))


def told(result: RunResult, view: ClusterView) -> dict[str, str]:
    """All words of each step."""
    return {
        step.name: "\n".join([step.title, *step.sentences, *(" | ".join(row) for row in step.rows), *step.after])
        for step in story_steps(result, view)
    }


def same_reference(result: RunResult, *, wrong: int = 0, **about) -> Reference:
    """A reference that says the same as the map but for so many pixels."""
    codes = result.landcover.codes.copy()
    flat = codes.reshape(-1)
    flat[:wrong] = np.where(flat[:wrong] == 70, 100, 70)
    about = {"title": "ESA WorldCover", "year": 2021} | about
    return Reference(grid=result.clusters.grid, codes=codes, scheme=SCHEME, **about)


def pixel(content: bytes, x: float, y: float) -> tuple[int, int, int]:
    image = Image.open(io.BytesIO(content)).convert("RGBA")
    return image.getpixel((int(x * image.width), int(y * image.height)))[:3]


def test_there_are_six_steps_each_with_a_large_picture(made):
    steps = story_steps(*made)
    assert tuple(step.name for step in steps) == STEPS
    for step in steps:
        assert step.picture is not None
        image = Image.open(io.BytesIO(step.picture.content))
        assert image.size == (step.picture.width, step.picture.height) == (SIDE, SIDE)
        assert image.format.lower() == step.picture.kind
        assert len(step.picture.content) < 500_000
        assert step.picture.caption


@pytest.mark.parametrize("spoken", ["en", "uk"])
def test_words_are_plain(made, spoken, monkeypatch):
    monkeypatch.setattr(tongue, "_asked", [lambda: spoken])
    result, view = made
    said = "\n".join(told(replace(result, reference=same_reference(result, wrong=100)), view).values())
    assert not re.search(r"pixel|raster|cluster|reflectance|accura|kappa|піксел|растр|кластер|точність", said.lower())
    assert "{" not in said
    assert ("map" in said) == (spoken == "en")


def test_the_first_step_says_when_how_large_and_how_clear(made):
    result, view = made
    scene = dict(result.scene) | {
        "kind": "local", "acquired": "2021-07-01T10:05:00+00:00", "area_km2": 1234.5, "scl": [{"code": 4}],
        "clear_percent": 87.25, "width": 3000, "height": 2000, "pixel_size_m": 20.0,
        "bounds": {"west": 30.4, "east": 30.6, "south": 50.4, "north": 50.5},
    }  # fmt: skip
    said = told(replace(result, scene=scene), view)["saw"]
    assert "On 1 July 2021" in said
    assert "1,234 km²" in said  # half to even
    assert "about 60 by 40 km" in said
    assert "20 by 20 metres" in said
    assert "87.2 %" in said
    assert "near Kyiv, Ukraine" in said or "Ukraine, about" in said
    assert "simulated" not in said
    nowhere = scene | {"acquired": None, "bounds": {"west": 179.9, "east": -179.9, "south": -41.0, "north": -40.0}}
    said = told(replace(result, scene=nowhere), view)["saw"]
    assert "not known" in said
    assert "40.5° south, 180° " in said
    clear = told(replace(result, scene=scene | {"clear_percent": 100.0}), view)["saw"]
    assert "No cloud" in clear
    unmarked = told(replace(result, scene=scene | {"scl": None}), view)["saw"]
    assert "loud" not in unmarked


def test_a_simulated_scene_is_called_simulated(made):
    result, view = made
    result = replace(result, scene=dict(result.scene) | {"kind": "simulated"}, reference=same_reference(result))
    said = told(result, view)
    assert "no such place exists" in said["saw"]
    assert "exact truth of the simulated landscape" in said["map"]
    assert "errors of its own" not in said["map"]


def test_without_imagery_the_steps_say_so_and_groups_are_still_seen(made):
    result, _ = made
    steps = {step.name: step for step in story_steps(result, ClusterView(result.clusters, None))}
    for name in ("saw", "unseen"):
        assert steps[name].picture is None
        assert "not at hand" in " ".join(steps[name].sentences)
    assert all(steps[name].picture for name in ("groups", "names", "people", "map"))


def test_without_near_infrared_the_second_step_says_so():
    scene, _ = make_patchwork(side=48)
    bare = replace(scene, bands=tuple(band for band in scene.bands if band not in ("B08", "B8A")))
    clusters = cluster(build_features(bare, indices=(), sample=10_000, seed=0), method="kmeans", k=4, seed=0)
    result = run_chain(bare, RunSettings(k=4, sample=10_000, indices=()))
    steps = story_steps(result, ClusterView(clusters, SceneView(bare)))
    assert steps[0].picture is not None
    assert steps[1].picture is None
    assert "not among them" in " ".join(steps[1].sentences)
    assert "8 kinds of light" in " ".join(steps[1].sentences)


def test_groups_are_counted_and_have_the_colours_of_the_other_pages(made):
    result, view = made
    step = story_steps(result, view)[2]
    assert "4 groups" in step.sentences[0]
    labels, colours = result.clusters.labels, cluster_colours(4)
    for x in (0.1, 0.4, 0.6, 0.9):
        assert pixel(step.picture.content, x, 0.5) == rgb_of(colours[int(labels[24, int(48 * x)])])


def test_the_example_is_the_group_that_most_judges_spoke_of(made):
    result, view = made
    asked = named(
        result,
        *(Answer(annotator="rules", cluster=number, code=10, confidence=0.5) for number in sorted(result.cards)),
        Answer(annotator="claude", cluster=3, code=40, confidence=0.875, model="claude-x"),
        Answer(annotator="gemini", cluster=3, code=40, confidence=0.5),
    )
    assert example(asked).cluster == 3
    step = story_steps(asked, view)[3]
    assert "3 judges were asked" in step.sentences[0]
    assert step.rows == (
        ("Written rules", "Tree cover", "50 %"), ("claude", "Cropland", "88 %"), ("gemini", "Cropland", "50 %"),
    )  # fmt: skip
    assert step.after == ("2 of 3 say Cropland, and so the group is called.",)


def test_a_tie_and_a_surer_vote_are_told_as_they_were(made):
    result, view = made

    def outcome(first: float, second: float) -> str:
        answers = [Answer(annotator=name, cluster=1, code=code, confidence=sure)
                   for name, code, sure in (("a", 10, first), ("b", 30, second))]  # fmt: skip
        return told(named(result, *answers), view)["names"]

    assert "a person must decide" in outcome(0.5, 0.5)
    assert "The surer ones decide: Grassland." in outcome(0.5, 0.75)


def test_where_nobody_was_asked_it_says_so(made):
    result, view = made
    said = told(named(result), view)
    assert "Nobody has been asked yet" in said["names"]
    assert "4 still wait for a person" in said["people"]
    assert "No group has a name yet" in said["map"]
    assert "| 100 %" in said["map"]


def test_decisions_of_people_are_counted_and_one_is_told(made):
    result, view = made
    when = datetime(2026, 3, 4, tzinfo=UTC)
    legend = result.legend.override(1, 90, who="Ada *A*", why="reeds", when=when).override(2, None, who="B", when=when)
    changed = replace(result, legend=legend.undo(who="B"))
    said = told(changed, view)["people"]
    assert "A person decided 1." in said
    assert "on 4 March 2026 Ada *A* changed group 1" in said
    assert "to Herbaceous wetland" in said
    assert "“reeds”" in said
    corrected = replace(
        changed, map_edits=(MapEdit("point", {"code": 10}, seq=1), MapEdit("point", {"code": 10}, seq=2))
    )
    assert "At 2 points" in told(corrected, view)["people"]
    withdrawn = (*corrected.map_edits, MapEdit("withdraw", {"seq": 1}, seq=3))
    assert "At 1 point " in told(replace(corrected, map_edits=withdrawn), view)["people"]


def test_who_decided_is_seen_on_the_map(made):
    result, view = made
    legend = named(
        result,
        *(Answer(annotator=name, cluster=number, code=10, confidence=0.5) for number in (1, 2) for name in "ab"),
    ).legend.override(2, 30, who="Ada")
    step = story_steps(replace(result, legend=legend), view)[4]
    shown = dict(step.picture.legend)
    assert set(shown) == {"All judges agree", "A person decided", "Waits for a person"}
    labels = result.clusters.labels
    for number, wanted in ((1, AGREE_COLOUR), (2, shown["A person decided"]), (3, UNDECIDED_COLOUR)):
        row, column = np.argwhere(labels == number)[len(np.argwhere(labels == number)) // 2]
        assert pixel(step.picture.content, (column + 0.5) / 48, (row + 0.5) / 48) == rgb_of(wanted)


def test_areas_are_those_of_the_map_and_add_up(made):
    result, view = made
    step = story_steps(result, view)[5]
    areas = result.landcover.area_ha()
    assert [row[0] for row in step.rows] == [
        SCHEME[code].name for code, _ in sorted(areas.items(), key=lambda item: -item[1])
    ]
    hectares = [float(row[1].replace(",", "")) for row in step.rows]
    assert sum(hectares) == pytest.approx(48 * 48 * result.scene["pixel_size_m"] ** 2 / 10_000, abs=0.1 * len(areas))
    assert step.marks == tuple(
        SCHEME.by_key(SCHEME[code].key).colour for code, _ in sorted(areas.items(), key=lambda item: -item[1])
    )
    table = story_table(step)
    assert table.count("<i style") == len(areas)
    assert f'<td><i style="background:{step.marks[0]}"></i>{step.rows[0][0]}</td>' in table


@pytest.mark.parametrize(
    ("wrong", "same"), [(0, "100"), (1, "99"), (576, "75"), (2303, "1"), (2304, "0")]
)  # of 2304 pixels  # fmt: skip
def test_agreement_is_said_out_of_a_hundred_hectares(made, wrong, same):
    result, view = made
    compared = replace(result, reference=same_reference(result, wrong=wrong))
    assert compared.agreement.overall == pytest.approx(1 - wrong / 2304)
    said = told(compared, view)["map"]
    assert f"Of every 100 hectares, {same} are called the same as by ESA WorldCover 2021." in said
    assert "not proof of either" in said


def test_worldcover_is_quoted_on_itself_and_years_are_named(made):
    result, view = made
    credit = "© ESA WorldCover project 2021 / Contains modified Copernicus Sentinel data (2021)"
    reference = same_reference(result, title="ESA WorldCover 2021", attribution=credit)
    compared = replace(result, reference=reference, scene=dict(result.scene) | {"acquired": "2024-06-01"})
    said = told(compared, view)["map"]
    assert "76.7 % of it is right" in said
    assert "ESA WorldCover 2021 2021" not in said
    assert "The picture is of 2024, the other map of 2021" in said
    assert sources(compared).endswith(credit)


def test_without_a_reference_nothing_is_claimed(made):
    said = told(*made)["map"]
    assert "has not been compared" in said
    assert "Of every 100" not in said


def test_missing_pixels_are_white_and_said(made):
    result, _ = made
    labels = result.clusters.labels.copy()
    labels[:10] = 0
    picture = codes_picture(labels, result.clusters.grid, colours=cluster_colours(4), caption="x")
    assert pixel(picture.content, 0.5, 0.1) == (255, 255, 255)
    assert picture.legend[-1][1] == "#FFFFFF"
    assert not codes_picture(
        result.clusters.labels, result.clusters.grid, colours=cluster_colours(4), caption=""
    ).legend


@pytest.mark.parametrize(
    ("height", "width", "size"), [(40, 80, (960, 480)), (3000, 1500, (480, 960)), (1, 1000, (960, 1))]
)
def test_pictures_keep_the_shape_of_the_ground(height, width, size):
    picture = codes_picture(
        np.ones((height, width), np.uint8), make_grid(height, width), colours={1: "#112233"}, caption=""
    )
    assert (picture.width, picture.height) == size
    assert Image.open(io.BytesIO(picture.content)).size == size


# ---- the file


class Seen(HTMLParser):
    """Tags of a page, and its pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.addresses += [found[name] for name in ("src", "href") if name in found]
        if tag == "img":
            self.pictures.append(found["src"])
            assert found["alt"]


@pytest.mark.parametrize("spoken", ["en", "uk"])
def test_the_file_needs_nothing_else_and_runs_nothing(made, spoken, monkeypatch):
    monkeypatch.setattr(tongue, "_asked", [lambda: spoken])
    steps = story_steps(*made)
    page = story_page(steps, title="A <b>river</b> & more", simulated=False, sources="© somebody <i>")
    seen = Seen(page)
    assert f'<html lang="{spoken}">' in page
    assert seen.tags.count("section") == 6
    assert not {"script", "link", "iframe", "b"} & set(seen.tags)
    assert all(address.startswith("data:image/") for address in seen.addresses)
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    for address, step in zip(seen.pictures, steps, strict=True):
        assert b64decode(address.partition(",")[2]) == step.picture.content
    assert "A &lt;b&gt;river&lt;/b&gt; &amp; more" in page
    assert "&lt;i&gt;" in page
    assert 'class="badge"' not in page
    assert 'class="badge"' in story_page(steps, title="x", simulated=True)


def test_names_that_people_gave_are_escaped_in_the_file(made):
    result, view = made
    legend = result.legend.override(1, 90, who="<script>alert(1)</script>", why="<img src=x>")
    page = story_page(story_steps(replace(result, legend=legend), view), title="x", simulated=False)
    assert "script" not in Seen(page).tags
    assert Seen(page).tags.count("img") == 6
