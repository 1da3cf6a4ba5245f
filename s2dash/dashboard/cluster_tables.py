"""What the page of clusters lists: the figures of every cluster, what to look at, and what was edited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odc.geo.geobox import GeoBox

from s2dash.annotation.legend import Legend, LegendEvent
from s2dash.clustering.quality import HARDLY_APART, SCATTERED, TINY_SHARE, ClusterMeasures, ClusterQuality
from s2dash.clustering.sweep import KSweep
from s2dash.colours import rgb_of
from s2dash.dashboard.language import FIRST, language, t
from s2dash.dashboard.texts import by_whom, number
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
    why = entry.edit.why if entry.step == "edit" else ""
    return f"{entry.seq}. {edit_text(entry)}", by_whom(entry.who, entry.when, why)


def edit_text(entry: EditEntry) -> str:
    """What was done, in the session's language."""
    edit = entry.edit
    into = _listed(edit.made) or t("clusters.parts_made", count=edit.value)
    said = {
        "merge": lambda: t("clusters.did_merge", clusters=_listed(edit.clusters), made=into),
        "split": lambda: t("clusters.did_split", cluster=edit.clusters[0], made=into),
        "sieve": lambda: t("clusters.did_sieve", count=edit.value),
        "majority": lambda: t("clusters.did_majority", side=edit.value),
    }[edit.kind]()
    return said if entry.step == "edit" else t(f"clusters.did_{entry.step}", what=said)


def waiting_decisions(events: Iterable[LegendEvent], legend: Legend) -> str:
    """A sentence on decisions about clusters that are not there now; empty where there are none."""
    gone = sorted({event.cluster for event in events if event.kind != "note" and event.cluster not in legend.clusters})
    if not gone:
        return ""
    return t("clusters.waiting", count=len(gone), clusters=", ".join(map(str, gone)))


def _listed(numbers: Sequence[int]) -> str:
    """`3, 5 and 7`, in the session's language."""
    *most, last = [str(number) for number in numbers] or [""]
    return f"{', '.join(most)}{t('clusters.and')}{last}" if most else last


COLUMNS = {
    "Cluster": "cluster",
    "Class": "class",
    "ha": "area",
    "%": "share",
    "Silhouette": "silhouette",
    "Nearest": "nearest",
    "JM": "distance",
    "Patches": "patches",
    "Broken up": "broken",
}
"""Columns of the table, whatever the language, and what their titles are called in the texts."""


def column_title(name: str) -> str:
    """What a column is called, in the session's language."""
    return t(f"clusters.column_{COLUMNS[name]}")


def column_help(name: str) -> str:
    """What a column means."""
    return t(f"clusters.column_{COLUMNS[name]}_help")


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
        found.append(Remark(" ".join(_warnings(measures)), tuple(new.items())))
    return found


def _proposals(measures: ClusterMeasures) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What could be done about a cluster."""
    own, near = measures.cluster, measures.nearest
    if measures.noise:
        return
    if near is not None and (measures.share < TINY_SHARE or _close(measures)):
        low, high = sorted((own, near))
        yield t("clusters.do_merge", low=low, high=high), {"kind": "merge", "clusters": (low, high)}
    if measures.modes is not None:
        yield t("clusters.do_split", cluster=own), {"kind": "split", "clusters": (own,), "value": 2}
    if measures.fragmentation > SCATTERED:
        yield t("clusters.do_smooth", side=3), {"kind": "majority", "value": 3}


def _warnings(measures: ClusterMeasures) -> Iterator[str]:
    """What was said when a cluster was measured, in the session's language."""
    if language() == FIRST:
        yield from measures.warnings
        return
    own, modes = measures.cluster, measures.modes
    if measures.noise:
        share, area = f"{100 * measures.share:.2g}", number(measures.area_ha, 1)
        yield t("clusters.warn_noise", cluster=own, share=share, area=area)
        return
    if measures.share < TINY_SHARE:
        share, area = f"{100 * measures.share:.2g}", number(measures.area_ha, 1)
        yield t("clusters.warn_tiny", cluster=own, share=share, area=area)
    if modes is not None:
        shares = {"few": f"{100 * modes.low_share:.0f}", "many": f"{100 * (1 - modes.low_share):.0f}"}
        kind = "brightness" if modes.measure == "brightness" else "measure"
        ends = {"low": f"{modes.low:.2f}", "high": f"{modes.high:.2f}", "measure": modes.measure}
        yield t(f"clusters.warn_mixed_{kind}", cluster=own, **shares, **ends)
    if _close(measures):
        distance = f"{measures.separability:.2f}"
        yield t("clusters.warn_close", cluster=own, nearest=measures.nearest, distance=distance)
    if measures.fragmentation > SCATTERED:
        patch = number(measures.pixels / measures.patches, 1)
        yield t("clusters.warn_scattered", cluster=own, share=f"{100 * measures.fragmentation:.0f}", pixels=patch)


def _close(measures: ClusterMeasures) -> bool:
    """Whether it is hard to tell from its nearest."""
    return measures.separability is not None and measures.separability < HARDLY_APART


def sweep_reason(sweep: KSweep) -> str:
    """Why that K is proposed, in the session's language."""
    if language() == FIRST:
        return sweep.reason
    silhouette = f"{sweep.silhouette[sweep.ks.index(sweep.proposed)]:.2f}"
    name = "reason_elbow" if sweep.proposed == sweep.elbow else "reason_peak"
    return t(f"clusters.{name}", elbow=sweep.elbow, k=sweep.proposed, silhouette=silhouette)
