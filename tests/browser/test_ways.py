"""The ways through the real app, in a real browser that reaches nothing but this machine."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from running_app import IN_A_BROWSER, serve
from visitor import Visitor, nothing_hangs_over_the_edge

from s2dash.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "test-report"
PAGES = ("Area & imagery", "Clusters", "Labels", "Agreement", "Compare", "Runs", "Story")

pytestmark = IN_A_BROWSER


def note(**measured: float) -> None:
    """Put figures into the report; they are not asserted, because they depend on the machine."""
    REPORT.mkdir(exist_ok=True)
    path = REPORT / "timings.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | {name: round(value, 1) for name, value in measured.items()}, indent=2) + "\n")


# ---- the ways


def test_from_the_first_start_to_a_corrected_map_and_back(tmp_path: Path, visit: Callable[..., Visitor]) -> None:
    with serve(tmp_path / "workspace") as address:
        # Two browsers at once, an empty workspace, no click: one demo, made before their eyes.
        ada, ben = visit(address), visit(address)
        begun = time.monotonic()
        ada.go(wait=False)
        ben.go(wait=False)
        ada.page.get_by_text("The first map is being made").first.wait_for()
        ben.page.get_by_role("button", name="Stop").wait_for()
        ada.metrics.first.wait_for(timeout=120_000)
        note(first_start_s=time.monotonic() - begun)
        ada.shows_layers(lambda names: {"True colour", "Masked"} <= set(names))
        expect(ada.main).to_contain_text("simulated")
        ben.metrics.first.wait_for(timeout=120_000)
        first = ada.run()
        ben.leads_to(first)
        store = Workspace.open(tmp_path / "workspace").store
        assert [(record.id, record.status) for record in store.runs()] == [(first, "finished")]

        # Another K.
        ada.turn("Clusters")
        ada.shows_layers(lambda names: names[:2] == ["Clusters", "True colour"])
        slider = ada.page.get_by_role("slider", name="Clusters (K)")
        slider.focus()
        before = int(slider.input_value())
        for _ in range(4):
            slider.press("ArrowLeft")
        ada.idle()
        ada.press("Make the map")
        ada.page.get_by_role("button", name="Stop").wait_for()
        ada.page.wait_for_function(f"() => !location.search.includes('{first}')", timeout=120_000)
        ada.idle()
        second = ada.run()
        assert [record.id for record in store.runs()] == [second, first]
        assert store.run(second).settings["k"] == before - 4
        expect(ada.page.get_by_test_id("stSidebar")).to_contain_text(f"K = {before - 4}")
        expect(ada.page.get_by_role("slider", name="Clusters (K)")).to_have_value(str(before - 4))
        ada.has_rows(before - 4)

        # A person corrects a label; it is there after a reload, and can be taken back.
        ada.turn("Labels")
        heading = ada.page.locator("h5").first
        name = heading.inner_text()
        ada.choose("Class", "Mangroves")
        ada.press("Set class")
        ada.page.wait_for_selector("h5:has-text('1 · Mangroves')")
        assert [(event.kind, event.cluster, event.after) for event in store.events(second)] == [("override", 1, 95)]
        ada.map().locator(".s2-legend:has-text('Mangroves')").wait_for()  # the map is drawn last
        ada.page.reload()
        ada.page.wait_for_selector("h5:has-text('1 · Mangroves')")
        ada.leads_to(second)
        ada.idle()
        ada.press("Undo")
        ada.page.wait_for_selector(f"h5:has-text('{name}')")
        assert [event.kind for event in store.events(second)] == ["override", "undo"]

        # The figures are there, and so is the first run, as it was.
        ada.turn("Agreement")
        expect(ada.metrics).to_have_count(4)
        expect(ada.metrics.first).to_contain_text(re.compile(r"0\.\d{3}\s*ceiling 0\.\d{3}"))
        ada.shows_layers(lambda names: {"Disagreement", "Land cover", "Reference: Simulated truth"} <= set(names))
        ada.turn("Runs")
        ada.main.get_by_role("link", name="Open", exact=True).last.click()
        ada.page.wait_for_selector("h1:has-text('Clusters')")
        ada.leads_to(first)
        ada.has_rows(before)

        # The way back in the browser leads back.
        ada.page.go_back()
        ada.page.wait_for_selector("h1:has-text('Runs')")
        ada.leads_to(second)
        store.close()


def test_what_cannot_be_opened_is_said_and_the_scene_stays(demo: str, visit: Callable[..., Visitor]) -> None:
    ada = visit(demo)
    ada.go()
    ada.shows_layers(lambda names: "True colour" in names)
    place = ada.page.get_by_label("File or folder", exact=True)
    place.fill("/nowhere/scene.tif")
    place.press("Enter")
    ada.idle()
    ada.press("Open scene")
    ada.page.get_by_text("There is no file or folder /nowhere/scene.tif").wait_for()
    ada.shows_layers(lambda names: "True colour" in names)
    expect(place).to_have_value("/nowhere/scene.tif")


def test_what_one_decides_the_other_sees(demo: str, visit: Callable[..., Visitor]) -> None:
    ada, ben = visit(demo), visit(demo)
    ada.go("labels")
    ben.go("labels")
    reasons = ben.page.get_by_label("Why (optional)")
    expect(reasons).to_have_count(8)  # on a busy machine the last ones come late, and the second is another one
    reasons.nth(1).fill("half a thou")
    ada.page.get_by_label("Your name, for the history").fill("Ada")
    ada.page.keyboard.press("Enter")
    ada.idle()
    ada.choose("Class", "Moss and lichen")
    ada.press("Set class")
    ben.page.wait_for_selector("h5:has-text('1 · Moss and lichen')", timeout=20_000)  # with no click of his
    expect(ben.main).to_contain_text("Set by Ada")
    expect(reasons).to_have_count(8)
    expect(reasons.nth(1)).to_have_value("half a thou")
    ben.press("Undo")
    ada.page.wait_for_selector("h5:has-text('1 · Moss and lichen')", state="detached", timeout=20_000)
    ada.page.reload()
    expect(ada.page.get_by_label("Your name, for the history")).to_have_value("Ada")


def test_the_map_stays_where_the_person_moved_it(demo: str, visit: Callable[..., Visitor]) -> None:
    ada = visit(demo)
    ada.go("labels")
    scale = ada.map().locator(".leaflet-control-scale-line")
    before = scale.inner_text()
    for _ in range(3):
        ada.map().locator(".leaflet-control-zoom-in").click()
        ada.page.wait_for_timeout(350)
    expect(ada.map().locator(".leaflet-zoom-anim")).to_have_count(0)
    expect(scale).not_to_have_text(before)
    moved = scale.inner_text()
    ada.choose("Class", "Shrubland")  # a rerun with the same map
    expect(ada.map().locator(".leaflet-control-scale-line")).to_have_text(moved)
    ada.press("Set class")  # a rerun with another map
    ada.page.wait_for_selector("h5:has-text('1 · Shrubland')")
    ada.map().locator(".s2-legend:has-text('Shrubland')").wait_for()
    expect(ada.map().locator(".leaflet-control-scale-line")).to_have_text(moved)
    ada.press("Undo")
    ada.page.wait_for_selector("h5:has-text('1 · Shrubland')", state="detached")


def test_a_link_to_a_page_works_on_a_server_nobody_has_visited(
    demo_workspace: Path, visit: Callable[..., Visitor]
) -> None:
    space = Workspace.open(demo_workspace)
    run = space.store.runs()[0].id
    space.store.close()
    with serve(demo_workspace) as address:
        ada = visit(address)
        ada.go(f"labels?run={run}")
        ada.page.wait_for_selector("h5")
        ada.leads_to(run)
        expect(ada.page).to_have_title("Labels · s2dash")
        ada.map()  # the server must not stop while the map's scripts are on their way


def test_clusters_are_merged_and_it_is_taken_back(demo_workspace: Path, visit: Callable[..., Visitor]) -> None:
    space = Workspace.open(demo_workspace)
    run = space.store.runs()[0].id
    before = sorted(space.open_run(run).cards)
    with serve(demo_workspace) as address:
        ada = visit(address, height=2200)  # a list of choices closes when the page has to be scrolled
        ada.go(f"clusters?run={run}")
        ada.page.get_by_text("Quality of each cluster").wait_for()
        ada.map()
        field = ada.page.get_by_test_id("stMultiSelect").filter(has_text="Clusters to merge")
        for place in (1, 2):  # the first choice is all of them
            field.get_by_role("button", name="Open").click()
            ada.page.get_by_role("option").nth(place).click()
            ada.page.keyboard.press("Escape")
            ada.idle()
        ada.page.get_by_role("button", name="Merge", exact=True).click()  # at the first click, whatever has the focus
        ada.page.get_by_text("Undo: Merged clusters 1 and 3").first.wait_for(timeout=60_000)
        ada.idle()
        ada.has_rows(len(before) - 1)
        assert sorted(space.open_run(run).cards) == [*(n for n in before if n not in (1, 3)), len(before) + 1]
        ada.press("Undo")
        ada.page.get_by_text("Redo: Merged clusters 1 and 3").first.wait_for(timeout=60_000)
        assert sorted(space.open_run(run).cards) == before
    space.store.close()


def km2(text: str) -> float:
    """The square kilometres in a text."""
    return float(re.search(r"([\d.]+) km²", text)[1])  # type: ignore[index]


def test_an_area_is_drawn_kept_and_used(demo: str, visit: Callable[..., Visitor]) -> None:
    ada = visit(demo)
    ada.go()
    size = ada.metrics.nth(1)
    expect(size).to_contain_text("km²")
    whole = km2(size.inner_text())
    ada.map().locator(".leaflet-draw-draw-rectangle").click()
    left, top = ada.on_the_map(0.3, 0.55)
    ada.page.mouse.move(left, top)
    ada.page.mouse.down()
    for step in range(1, 11):  # as slowly as a hand: Leaflet.draw overlooks jumps
        ada.page.mouse.move(left + 14 * step, top + 9 * step)
        ada.page.wait_for_timeout(30)
    ada.page.mouse.up()
    main = ada.main
    main.get_by_text("Area, km²").wait_for()
    ada.idle()
    # It is still chosen on another page and after a reload in the middle of it all.
    ada.turn("Runs")
    ada.turn("Area & imagery")
    main.get_by_role("button", name="Use this area", exact=True).wait_for()
    ada.page.reload()
    use = main.get_by_role("button", name="Use this area", exact=True)
    use.wait_for()
    ada.idle()
    use.click()
    main.get_by_text("Everything outside is left out").wait_for(timeout=60_000)
    expect(size).not_to_contain_text(f"{whole:g} km²")
    assert 0.02 * whole < km2(size.inner_text()) < 0.5 * whole
    ada.press("Whole scene")
    expect(size).to_contain_text(f"{whole:g} km²", timeout=60_000)


def test_a_map_is_written_into_a_folder(demo: str, visit: Callable[..., Visitor], tmp_path: Path) -> None:
    import rasterio

    ada = visit(demo)
    ada.go("runs")
    ada.main.get_by_role("button", name="More").first.click()
    folder = ada.page.get_by_label("Folder for the maps and tables", exact=True).first
    folder.fill(str(tmp_path / "maps"))
    folder.press("Enter")
    ada.idle()
    ada.press("Write files")
    ada.page.get_by_text("landcover.tif").first.wait_for(timeout=60_000)
    with rasterio.open(tmp_path / "maps" / "landcover.tif") as file:
        assert "simulated" in str(file.tags()).lower()
        assert set(file.read(1).ravel().tolist()) <= {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100, 255}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_seen(demo: str, visit: Callable[..., Visitor], scheme: str) -> None:
    REPORT.mkdir(exist_ok=True)
    ada = visit(demo, width=1280, height=720, dark=scheme == "dark")
    ada.go()
    for title in PAGES:
        ada.turn(title)
        if title not in {"Compare", "Runs", "Story"}:
            # The map has the colours of the page around it.
            colour = "element => getComputedStyle(element).backgroundColor"
            around = ada.page.get_by_test_id("stApp").evaluate(colour)
            expect(ada.map().locator(".leaflet-bar a").first).to_have_css("background-color", around)
        if title == "Clusters":
            main_button = ada.page.get_by_role("button", name="Make the map")
            expect(main_button).to_have_css("color", "rgb(4, 18, 12)" if scheme == "dark" else "rgb(255, 255, 255)")
        nothing_hangs_over_the_edge(ada.page)
        ada.page.wait_for_timeout(600)  # bars and charts glide into place
        name = f"{title.split()[0].lower()}-{scheme}"
        ada.page.screenshot(path=REPORT / f"{name}.png")
        if scheme == "dark":
            continue
        height = int(ada.main.evaluate("element => element.scrollHeight"))
        ada.page.set_viewport_size({"width": 1440, "height": min(max(height, 900), 4000)})
        ada.page.wait_for_timeout(900)
        ada.page.screenshot(path=REPORT / f"{name}-full.png")
        ada.page.set_viewport_size({"width": 1280, "height": 720})


def test_how_long_a_person_waits_is_measured(demo: str, visit: Callable[..., Visitor]) -> None:
    watch = """want => {
        window.begun = window.seen = null;
        document.addEventListener('click', () => { window.begun = performance.now(); }, {capture: true, once: true});
        const watching = new MutationObserver(() => {
            if (document.querySelector('h5')?.innerText.includes(want)) {
                window.seen = performance.now(); watching.disconnect();
            }
        });
        watching.observe(document.body, {subtree: true, childList: true, characterData: true});
    }"""
    ada = visit(demo)
    ada.go("labels")
    ada.map()
    waits = []
    for name in ("Built-up", "Snow and ice", "Built-up"):
        ada.choose("Class", name)
        ada.page.evaluate(watch, name)
        ada.press("Set class")
        ada.page.wait_for_function("() => window.seen")
        waits.append(float(ada.page.evaluate("() => window.seen - window.begun")))
    assert all(wait > 0 for wait in waits)
    note(override_to_visible_label_ms=min(waits))
