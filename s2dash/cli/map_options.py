"""Options of every command that makes maps: what the maps are made of, and what they are compared with."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from s2dash.annotation.card_style import DEFAULT_STYLE, load_card_styles
from s2dash.annotation.registry import annotator_names
from s2dash.errors import ReferenceMapError
from s2dash.features import DEFAULT_INDICES, DEFAULT_SAMPLE, SEASON_NDVI
from s2dash.indices import available_indices
from s2dash.run_settings import ReferenceSettings, RunSettings
from s2dash.scene import Scene
from s2dash.schemes import scheme_map_sources, scheme_names


def add_map_options(group: Any) -> None:
    """Add classes, seed, sample and features."""
    group.add_argument("--scheme", default="worldcover", choices=scheme_names(), help="classes of the map")
    group.add_argument("--seed", type=int, default=0, help="same seed, same map")
    group.add_argument("--sample", type=int, default=DEFAULT_SAMPLE, help="pixels to fit on")
    group.add_argument(
        "--indices",
        help="spectral indices among the features, `none` for bands alone; by default those of "
        f"{','.join(DEFAULT_INDICES)} that the bands allow",
    )
    group.add_argument("--texture", type=int, default=0, metavar="PIXELS", help="side of a texture window, e.g. 5")
    group.add_argument(
        "--season",
        nargs="?",
        const=",".join(SEASON_NDVI),
        metavar="LAYERS",
        help="statistics of the season among the features, where the scene is a composite that has them; by default "
        f"{','.join(SEASON_NDVI)}",
    )


def map_settings(options: argparse.Namespace, scene: Scene) -> RunSettings:
    """What `add_map_options` asked for, all else as by default; no index is added that the scene lacks bands for."""
    if options.indices is None:
        allowed = available_indices(scene.bands)
        indices = tuple(name for name in DEFAULT_INDICES if name in allowed)
    else:
        indices = () if options.indices in {"", "none"} else names_in(options.indices)
    return RunSettings(
        scheme=options.scheme,
        seed=options.seed,
        sample=options.sample,
        indices=indices,
        texture=options.texture,
        season=names_in(options.season or ""),
    )


def names_in(text: str) -> tuple[str, ...]:
    """Names given by comma."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_annotator_options(parser: argparse.ArgumentParser) -> None:
    """Add who names the clusters, what they are shown, what they may cost, and how their votes count."""
    names = parser.add_argument_group("names")
    known = ", ".join(annotator_names())
    names.add_argument(
        "--annotators",
        default="rules",
        help=f"who names the clusters, by comma: {known}, or a file of recorded answers",
    )
    names.add_argument("--style", default=DEFAULT_STYLE, help=f"what models are shown: {', '.join(load_card_styles())}")
    names.add_argument("--budget", type=float, metavar="DOLLARS", help="stop asking models before it costs more")
    names.add_argument(
        "--voting", default="majority", choices=("majority", "confidence"), help="how the annotators' votes count"
    )


def add_reference_options(parser: argparse.ArgumentParser) -> None:
    """Add the reference map and what its codes mean."""
    check = parser.add_argument_group("reference map to compare with")
    check.add_argument(
        "--reference", type=Path, metavar="FILE", help="a land-cover raster, or polygons with a class each"
    )
    known = ", ".join(scheme_map_sources("worldcover"))
    check.add_argument("--reference-scheme", metavar="NAME", help=f"scheme of its codes (default worldcover): {known}")
    check.add_argument("--reference-map", type=Path, metavar="FILE.json", help="its code or text → WorldCover code")
    check.add_argument("--reference-field", metavar="NAME", help="field that says the class of each polygon")
    check.add_argument("--reference-year", type=int, metavar="YEAR", help="year of the reference map")
    check.add_argument(
        "--worldcover", type=int, choices=(2020, 2021), help="compare with WorldCover from its public bucket"
    )


def reference_from(options: argparse.Namespace) -> ReferenceSettings | None:
    """The reference the options name, if any.

    Raises:
        ReferenceMapError: If they contradict each other.
    """
    if options.worldcover and options.reference:
        raise ReferenceMapError("Give either --reference or --worldcover, not both.")
    if options.worldcover:
        return ReferenceSettings(year=options.worldcover)
    if not options.reference:
        if options.reference_map or options.reference_scheme or options.reference_year or options.reference_field:
            raise ReferenceMapError(
                "--reference-map, --reference-scheme, --reference-year and --reference-field need --reference FILE."
            )
        return None
    if options.reference_map and options.reference_scheme:
        raise ReferenceMapError("Give either --reference-scheme or --reference-map, not both.")
    path, year = str(options.reference), options.reference_year
    if options.reference_map:
        chosen = ReferenceSettings.from_map_file(path, options.reference_map, year=year)
    else:
        chosen = ReferenceSettings(path=path, scheme=options.reference_scheme or "worldcover", year=year)
    return replace(chosen, field=options.reference_field or "")
