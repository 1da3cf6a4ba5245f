"""Which band lies where: what a location holds, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from s2dash.bands import method_bands, parse_band, sensor_table
from s2dash.errors import SceneError
from s2dash.radiometry import DeclaredRadiometry
from s2dash.sources.header import Layer

BandNames = Mapping[int | str, str] | Sequence[str]
"""Band names given by the person: by place (1-based) or description, or in the order of the file."""

SKIP = frozenset({"", "-"})
"""What stands for a band to leave out in a list of names."""


@dataclass(frozen=True)
class Layout:
    """The layers of a scene as they lie on disk."""

    layers: tuple[Layer, ...]
    """Bands of the method, in sensor order."""
    scl: Layer | None
    """Scene classification, where there is one."""
    title: str
    """What to call it, for the person."""
    declared: DeclaredRadiometry | None = None
    """What metadata say of the numbers."""
    acquired: date | None = None
    """Day the image was taken, where known."""
    product: str = ""
    """Product identifier, where known."""
    notes: tuple[str, ...] = ()
    """What a person should know."""


def checked_name(text: str) -> str:
    """A band name as the sensor table has it.

    Raises:
        SceneError: If there is no such band.
    """
    name = parse_band(text)
    if name is None:
        raise SceneError(f"{text!r} is no Sentinel-2 band. Choose from: {listed_bands()}.")
    return name


def listed_bands() -> str:
    """All names a person can type, with what they see."""
    return ", ".join(
        [*(f"{band.name} ({band.colour})" for band in sensor_table().values()), "SCL (scene classification)"]
    )


def split_layers(found: Mapping[str, Layer]) -> tuple[tuple[Layer, ...], Layer | None, tuple[str, ...]]:
    """The bands of the method in sensor order, the scene classification, and a note on what is left out."""
    layers = tuple(found[name] for name in method_bands() if name in found)
    atmospheric = [name for name in sensor_table() if name in found and name not in method_bands()]
    notes = (
        (f"Not used, as the method leaves the atmospheric bands out: {', '.join(atmospheric)}.",) if atmospheric else ()
    )
    return layers, found.get("SCL"), notes


def tagged_radiometry(layers: tuple[Layer, ...]) -> tuple[DeclaredRadiometry | None, tuple[str, ...]]:
    """Scale and offset from the tags of the files, where they say anything that can be used, and a note."""
    tags = {(layer.file.scales[layer.index - 1], layer.file.offsets[layer.index - 1]) for layer in layers}
    if not tags or tags == {(1.0, 0.0)}:
        return None, ()
    shown = ", ".join(f"scale {scale:g} and offset {offset:g}" for scale, offset in sorted(tags)[:3])
    if len(tags) > 1:
        return None, (f"The bands' scale and offset tags differ ({shown}) and are not used.",)
    scale, offset = tags.pop()
    if not (0 < scale < 1 and abs(offset) <= 1):
        return None, (f"The tags' {shown} make no reflectance and are not used.",)
    return DeclaredRadiometry(scale, offset, "Scale and offset tags of the file", trusted=False), ()
