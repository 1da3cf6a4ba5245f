import re
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2dash.dashboard.texts import comparison, day, plain, run_agreement, run_facts, scene_facts, unique_titles
from s2dash.reference import Reference
from s2dash.schemes import load_scheme
from s2dash.store import RunRecord
from s2dash.testing import make_grid

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)


def record(run: str, title: str = "a", *, after: float = 0.0, summary: dict | None = None) -> RunRecord:
    settings = {"method": "kmeans", "k": 9, "seed": 2}
    when = NOON + timedelta(seconds=after)
    return RunRecord(run, "p", title, "finished", when, when, {}, settings, summary or {}, "")


@given(st.text())
def test_plain_text_reads_back_as_what_it_was(text):
    shown = plain(text)
    assert re.sub(r"\\(.)", r"\1", shown, flags=re.DOTALL) == re.sub(r"[\r\n\t]", " ", text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_<>$`\[\]:~|]", shown)  # no sign of markup without its backslash


def test_markup_is_escaped():
    assert plain("**a** <b> :smile: $x$ [l](u) `c`") == (r"\*\*a\*\* \<b\> \:smile\: \$x\$ \[l\]\(u\) \`c\`")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.0, 30.0, 90.0])), max_size=8))
def test_no_two_runs_are_called_the_same(made):
    records = [record(f"{at:06d}", title, after=after) for at, (title, after) in enumerate(made)]
    titles = unique_titles(records)
    assert len(set(titles.values())) == len(records)
    assert all(titles[one.id].startswith(one.title) for one in records)


def test_a_title_that_is_alone_stays_as_it_is():
    assert unique_titles([record("1", "a"), record("2", "b")]) == {"1": "a", "2": "b"}
    assert unique_titles([record("1", "a"), record("2", "a", after=60)]) == {
        "1": "a · 4 Mar 12:00",
        "2": "a · 4 Mar 12:01",
    }


def test_what_a_run_is_and_reached():
    assert run_facts(record("1")) == "K-Means, K = 9, seed 2"
    assert run_agreement(record("1")) == ""
    assert run_agreement(record("1", summary={"overall": 0.51234, "ceiling": 0.7})) == (
        "agreement 0.512, ceiling 0.700"
    )
    assert run_agreement(record("1", summary={"overall": 0.5, "ceiling": None})) == "agreement 0.500"


def test_days_and_facts():
    assert day("2021-07-01") == "1 Jul 2021"
    assert day(None) == "unknown"
    about = {"bands": ["B02"], "pixel_size_m": 10.0, "crs": "EPSG:32633", "product": "", "location": "/a"}
    assert scene_facts(about) == {"Bands": "B02", "Pixel": "10 m, EPSG:32633", "Source": "/a"}


def test_what_is_compared_is_said_with_both_years():
    reference = Reference(make_grid(2, 2), np.ones((2, 2), np.uint8), load_scheme("worldcover"), "Map", 2020, "By us")
    line = comparison({"image_year": 2021, "n": 12345}, reference)
    assert line == "Image of 2021 against Map of 2020 · 12,345 pixels compared · By us"
    assert comparison({"image_year": None, "n": 1}, reference).startswith("Image of unknown year")
