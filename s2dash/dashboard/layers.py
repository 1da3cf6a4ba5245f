"""What can lie on a map: pictures in its projection, outlines and points."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odc.geo.geobox import GeoBox

from s2dash.dashboard.fine_image import FINEST, FineImage, fine_codes, fine_picture, painted
from s2dash.dashboard.pictures import MAX_SIDE, Picture, indexed_png, png_bytes, thin_labels, webp_bytes
from s2dash.dashboard.warping import Bounds, frame_of, warp_codes, warp_to_web_mercator
from s2dash.types import LabelArray


@dataclass(frozen=True)
class MapLayer:
    """One picture on the map."""

    name: str
    """What the person reads in the layer list; any text, shown as it is."""
    url: str
    """The encoded picture: a `data:` address, or one the app serves."""
    bounds: Bounds
    """Its outer edges."""
    opacity: float = 1.0
    """At first, 0-1; the person changes it on the map without a rerun."""
    shown: bool = True
    """Whether it is switched on at first."""
    crisp: bool = True
    """Whether pixels stay square when the person zooms in."""
    fine: FineImage | None = None
    """The same in full detail, for maps that are zoomed in; None where the picture above is all there is."""


@dataclass(frozen=True)
class MapShape:
    """A point, line or polygon on the map."""

    name: str
    """What the person reads when pointing at it; any text, shown as it is."""
    geometry: Mapping[str, Any]
    """GeoJSON geometry in degrees, longitude first. Points become round markers."""
    colour: str
    """Of outline and filling, `#RRGGBB`."""
    fill_opacity: float = 0.08
    """Of the filling, 0-1."""
    editable: bool = False
    """Whether the drawing tools move its corners and delete it; only on a map to draw on."""


def picture_layer(
    name: str,
    picture: Picture,
    *,
    imagery: bool = False,
    opacity: float = 1.0,
    shown: bool = True,
    max_side: int = MAX_SIDE,
    fine: Picture | None = None,
) -> MapLayer:
    """A picture made ready for the map.

    Args:
        name: See `MapLayer`.
        picture: With its grid.
        imagery: Interpolate and compress with a little loss; leave False for classes, whose colours must stay exact.
        opacity: At first, 0-1.
        shown: Whether it is switched on at first.
        max_side: Longest side of the picture that is sent to the browser, pixels.
        fine: Imagery in the scene's own detail, where `picture` has less.
    """
    rgba, bounds = warp_to_web_mercator(picture.rgba, picture.grid, smooth=imagery, max_side=max_side)
    kind, encoded = ("webp", webp_bytes(rgba)) if imagery else ("png", png_bytes(rgba))
    detailed = fine_picture(fine) if fine is not None else None
    return MapLayer(name, data_url(encoded, kind), bounds, opacity, shown, crisp=not imagery, fine=detailed)


def data_url(encoded: bytes, kind: str) -> str:
    """An encoded picture as an address that holds all of it.

    Args:
        encoded: The file.
        kind: `png` or `webp`.
    """
    return f"data:image/{kind};base64,{b64encode(encoded).decode('ascii')}"


@dataclass(frozen=True)
class WarpedLabels:
    """A cluster or class map in the projection of web maps, ready to be coloured again and again."""

    codes: LabelArray
    """Shape (y, x); 0 where there is nothing."""
    bounds: Bounds
    """Its outer edges."""
    fine: FineImage | None = None
    """In full detail, where `codes` has less."""


def warp_labels(labels: LabelArray, grid: GeoBox, *, max_side: int = MAX_SIDE, finest: int = FINEST) -> WarpedLabels:
    """A map of any size, warped by nearest neighbour.

    Args:
        labels: Shape (y, x), uint8.
        grid: Where they lie.
        max_side: Longest side of the overview, pixels.
        finest: Longest side of the pieces in full detail together, pixels.
    """
    thinned, coarse = thin_labels(labels, grid, max_side=max_side)
    frame = frame_of(coarse, max_side=max_side)
    codes = warp_codes(thinned, coarse, frame)
    if max(labels.shape) <= max_side:
        return WarpedLabels(codes, frame.bounds)
    detailed, middling = thin_labels(labels, grid, max_side=finest)
    larger = frame_of(middling, max_side=finest)
    return WarpedLabels(codes, frame.bounds, fine_codes(warp_codes(detailed, middling, larger), larger.bounds))


def label_layer(
    name: str, labels: WarpedLabels, colours: Mapping[int, str], *, opacity: float = 1.0, shown: bool = True
) -> MapLayer:
    """A warped map in colours.

    Args:
        name: See `MapLayer`.
        labels: See `warp_labels`.
        colours: `#RRGGBB` by code; codes without a colour are transparent.
        opacity: At first, 0-1.
        shown: Whether it is switched on at first.
    """
    fine = painted(labels.fine, colours) if labels.fine is not None else None
    return MapLayer(name, data_url(indexed_png(labels.codes, colours), "png"), labels.bounds, opacity, shown, fine=fine)
