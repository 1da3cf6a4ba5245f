"""What the page of clusters lists: the figures of every cluster, what to look at, and what was edited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from s2dash.annotation.legend import Legend, LegendEvent
from s2dash.clustering.quality import HARDLY_APART, SCATTERED, TINY_SHARE, ClusterMeasures, ClusterQuality
from s2dash.colours import rgb_of
from s2dash.edit_history import EditEntry
from s2dash.grid import pixel_area_ha

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

LARGE = 4_000_000
"""Pixels from which on an undo is worth a progress bar: writing the maps takes more than a second."""


def pixel_hectares(grid: GeoBox) -> float:
    """Area of a pixel in the middle of the map, hectares."""
    areas = pixel_area_ha(grid)
    return float(areas[len(areas) // 2])


def pixels_of(hectares: float, pixel: float) -> int:
    """Fewest whole pixels of `pixel` hectares that make up so many hectares."""
    return max(math.ceil(hectares / pixel - 1e-6), 1)


def edit_lines(entry: EditEntry) -> tuple[str, str]:
    """An edit in two lines of plain text: what, and by whom, when and why."""
    why = f" ({entry.edit.why})" if entry.edit.why and entry.step == "edit" else ""
    return f"{entry.seq}. {entry.text}", f"{entry.who}, {entry.when:%d %b %Y, %H:%M} UTC{why}"


def waiting_decisions(events: Iterable[LegendEvent], legend: Legend) -> str:
    """A sentence on decisions about clusters that are not there now; empty where there are none."""
    gone = sorted({event.cluster for event in events if event.cluster not in legend.clusters})
    if not gone:
        return ""
    what = f"clusters {', '.join(map(str, gone))} are" if len(gone) > 1 else f"cluster {gone[0]} are"
    return f"Decisions about {what} kept for when {'they are' if len(gone) > 1 else 'it is'} back."


COLUMNS = {
    "Cluster": "Number, in the colour it has on the map.",
    "Class": "What it is called now.",
    "ha": "Area, hectares.",
    "%": "Share of the valid pixels.",
    "Silhouette": "How much nearer its pixels are to each other than to the next cluster: 1 well apart, 0 at the "
    "border, below 0 rather in another cluster. From a sample.",
    "Nearest": "The cluster that is hardest to tell from it.",
    "JM": "Jeffries–Matusita distance from that one: 2 fully separable, below 1 hardly.",
    "Patches": "Connected patches.",
    "Broken up": "Share of its pixels' neighbours that lie in other clusters: 0 % one block, 100 % single pixels.",
}
"""Columns of the table, and what they mean."""


def quality_table(quality: ClusterQuality, names: Mapping[int, str], colours: Mapping[int, str]) -> Styler:
    """Figures of every cluster, its number in its own colour.

    Args:
        quality: What was measured.
        names: What the clusters are called.
        colours: `#RRGGBB` by cluster.
    """
    import pandas as pd

    rows = [_row(measures, names) for measures in quality.clusters]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    paint = {str(cluster): f"background-color: {colour}; color: {_ink(colour)}" for cluster, colour in colours.items()}
    return table.style.map(lambda number: paint.get(str(number), ""), subset=["Cluster"])


def _row(measures: ClusterMeasures, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "Cluster": measures.cluster,
        "Class": names.get(measures.cluster, ""),
        "ha": measures.area_ha,
        "%": 100 * measures.share,
        "Silhouette": measures.silhouette,
        "Nearest": measures.nearest,
        "JM": measures.separability,
        "Patches": measures.patches,
        "Broken up": 100 * measures.fragmentation,
    }


def _ink(colour: str) -> str:
    """Black or white, whichever reads better on a colour (relative luminance, WCAG 2.1)."""
    linear = [(part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb_of(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#FFFFFF"


@dataclass(frozen=True)
class Remark:
    """What a person should know of a cluster, and what could be done about it."""

    text: str
    """In whole sentences."""
    edits: tuple[tuple[str, Mapping[str, Any]], ...]
    """Words for a button, and the options of `Workspace.edit_clusters`."""


def remarks(quality: ClusterQuality) -> list[Remark]:
    """The warnings about clusters, the largest first, each with what could be done at a click.

    Of two clusters that are hard to tell apart only the larger says so.
    """
    found: list[Remark] = []
    offered: set[str] = set()
    for measures in sorted(quality.clusters, key=lambda one: -one.pixels):
        if not measures.warnings:
            continue
        proposals = dict(_proposals(measures))
        new = {label: edit for label, edit in proposals.items() if label not in offered}
        if len(measures.warnings) == 1 and proposals and not new and measures.nearest is not None and _close(measures):
            continue
        offered |= new.keys()
        found.append(Remark(" ".join(measures.warnings), tuple(new.items())))
    return found


def _proposals(measures: ClusterMeasures) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What could be done about a cluster."""
    own, near = measures.cluster, measures.nearest
    if near is not None and (measures.share < TINY_SHARE or _close(measures)):
        low, high = sorted((own, near))
        yield f"Merge {low} and {high}", {"kind": "merge", "clusters": (low, high)}
    if measures.modes is not None:
        yield f"Split {own}", {"kind": "split", "clusters": (own,), "value": 2}
    if measures.fragmentation > SCATTERED:
        yield "Smooth 3 × 3", {"kind": "majority", "value": 3}


def _close(measures: ClusterMeasures) -> bool:
    """Whether it is hard to tell from its nearest."""
    return measures.separability is not None and measures.separability < HARDLY_APART
