"""An area in figures and outlines: what the panel and the map say of it."""

from __future__ import annotations

from s2dash.annotation.estimate import Estimate
from s2dash.area import AreaOfInterest
from s2dash.area_budget import AreaBudget
from s2dash.dashboard.language import language, t
from s2dash.dashboard.layers import MapShape
from s2dash.dashboard.texts import duration, number
from s2dash.dashboard.warping import Bounds
from s2dash.places import Place

CHOSEN_COLOUR, USED_COLOUR = "#FF7A00", "#00B3B3"
_MIB = 1024**2


def outlines(chosen: AreaOfInterest | None, used: AreaOfInterest | None) -> list[MapShape]:
    """The area that is chosen, to be edited where its corners can be, and the one in use."""
    shapes = []
    if used is not None and (chosen is None or chosen.geometry != used.geometry):
        shapes.append(MapShape(t("area.shape_used"), _on_map(used), USED_COLOUR, 0.0))
    if chosen is not None:
        whole = chosen.continuous
        simple = whole.geom_type == "Polygon" and len(whole.exterior.coords) <= 50 and not len(whole.interiors)
        name = chosen.title or t("area.shape_chosen")
        shapes.append(MapShape(name, _on_map(chosen), CHOSEN_COLOUR, 0.08, editable=simple))
    return shapes


def map_bounds(area: AreaOfInterest) -> Bounds:
    """South-west and north-east corner as Leaflet has them; beyond 180 degrees where the area crosses them."""
    west, south, east, north = area.continuous.bounds
    return (float(south), float(west)), (float(north), float(east))


def apart(first: Bounds, second: Bounds) -> bool:
    """Whether two boxes on a map share nothing, whatever turn of the globe each is on."""
    (south, west), (north, east) = first
    (other_south, other_west), (other_north, other_east) = second
    if north <= other_south or other_north <= south:
        return True
    return all(east + turn <= other_west or other_east <= west + turn for turn in (-360, 0, 360))


def budget_figures(budget: AreaBudget, *, resolution: float) -> list[tuple[str, str, str | None]]:
    """Name, figure and help text of what an area takes."""
    size = None
    if budget.shape is not None:
        height, width = budget.shape
        size = t("area.pixels_help", width=number(width), height=number(height), resolution=f"{resolution:g}")
    return [
        (t("area.km2"), number(budget.area_km2, 0 if budget.area_km2 >= 1000 else 1), None),
        (t("area.pixels"), _count(budget.pixels), size),
        (t("area.memory"), memory(budget.memory_bytes), t("area.memory_help", free=memory(budget.free_bytes))),
        (t("area.time"), duration(budget.seconds), t("area.time_help")),
    ]


def refusal(budget: AreaBudget) -> str:
    """Why an area is refused, and the way out, in numbers; empty where it is not."""
    if not budget.too_large:
        return ""
    return t(
        "area.too_wide" if budget.shape is None else "area.too_large",
        memory=memory(budget.memory_bytes),
        free=memory(budget.free_bytes),
        most=number(budget.most_km2),
        side=number(budget.most_side_km),
    )


def cost_words(cost: Estimate, *, clusters: int) -> str:
    """What naming costs, in a sentence."""
    if not cost.dollars_high:
        return t("area.cost_free", clusters=clusters)
    low, high = (number(dollars, 2) for dollars in cost.dollars)
    return t("area.cost", clusters=clusters, low=low, high=high, calls=cost.most_calls)


def place_words(place: Place) -> str:
    """A place in a line: its name, that which was looked for, its country and how many people live there."""
    key = "area.place_label_found" if place.found else "area.place_label"
    country = place.country_name(language())
    return t(key, name=place.name, found=place.found, country=country, population=number(place.population))


def memory(count: float) -> str:
    """Bytes as people say them."""
    if count >= 1024 * _MIB:
        return t("area.gib", size=number(count / (1024 * _MIB), 1))
    return t("area.mib", size=number(count / _MIB))


def _count(pixels: int) -> str:
    return number(pixels) if pixels < 1e6 else t("area.million", count=number(pixels / 1e6, 1))


def _on_map(area: AreaOfInterest) -> dict[str, object]:
    import json

    import shapely

    return dict(json.loads(shapely.to_geojson(area.continuous)))
