"""What every material of the simulated landscape reflects on a given day."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from s2dash.simulation.hashing import stream_key
from s2dash.types import FloatArray, LabelArray

FIELD_KINDS = 1024
"""How many different fields (crop, sowing date, vigour, soil) a scene has; parcels choose among them."""


@dataclass(frozen=True)
class Material:
    """Something that covers the ground."""

    name: str
    """Key in `data/spectra.toml`."""
    code: int
    """WorldCover class."""
    vary: str
    """The material it shades into within a patch."""
    source: str
    """Publications its values are typical of."""
    reflectance: tuple[float, ...]
    """In the bands of `spectra_bands()`, 0-1."""


@dataclass(frozen=True, eq=False)
class DaySpectra:
    """Reflectance of every unit of the landscape (a material, or a kind of field) on one day."""

    base: FloatArray
    """Shape (unit, band): reflectance of a typical patch."""
    vary: FloatArray
    """Shape (unit, band): what is added per unit of variation within the patch."""


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files("s2dash.data").joinpath("spectra.toml").read_text("utf-8"))


@cache
def spectra_bands() -> tuple[str, ...]:
    """Bands of all spectra, in order."""
    return tuple(_table()["bands"])


@cache
def materials() -> Mapping[str, Material]:
    """All materials by name, in the order of their unit numbers."""
    return {
        name: Material(name=name, reflectance=tuple(row["reflectance"]), **_plain(row))
        for name, row in _table()["materials"].items()
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("code", "vary", "source")}


@cache
def unit(name: str) -> int:
    """Unit number of a material."""
    return list(materials()).index(name)


@cache
def first_field() -> int:
    """Unit number of the first kind of field; the others follow it."""
    return len(materials())


@cache
def unit_codes() -> LabelArray:
    """WorldCover code per unit, shape (unit,)."""
    codes = [material.code for material in materials().values()]
    return np.array(codes + [40] * FIELD_KINDS, dtype=np.uint8)


@cache
def sky(name: str) -> FloatArray:
    """Ten values of `cloud`, `shadow` or `cirrus`: reflectance, or for shadow the share of light left."""
    row = _table()["sky"][name]
    values = np.array(row.get("reflectance", row.get("share")), dtype=np.float32)
    values.setflags(write=False)
    return values


@cache
def _spectra() -> FloatArray:
    return np.array([material.reflectance for material in materials().values()], dtype=np.float64)


def day_spectra(*, seed: int, day_of_year: int) -> DaySpectra:
    """Spectra of all units on a day.

    Perennial covers mix with their dormant form along `[seasons]`; each kind of field mixes soil, green crop, flowers,
    ripe crop and stubble along its calendar, shifted by its own sowing date.

    Args:
        seed: Of the scene.
        day_of_year: 1-366.
    """
    typical = _spectra().copy()
    for name, row in _table()["seasons"].items():
        knots = np.array(row["knots"])
        dormant = np.interp(day_of_year, knots[:, 0], knots[:, 1])
        typical[unit(name)] += dormant * (typical[unit(row["dormant"])] - typical[unit(name)])
    vary = np.array([typical[unit(material.vary)] for material in materials().values()]) - typical
    fields, soils = _fields(typical, seed=seed, day_of_year=day_of_year)
    return DaySpectra(
        base=np.vstack([typical, fields]).astype(np.float32),
        vary=np.vstack([vary, soils - fields]).astype(np.float32),
    )


def _fields(typical: FloatArray, *, seed: int, day_of_year: int) -> tuple[FloatArray, FloatArray]:
    """Spectra of the kinds of field and of the soil under each, both of shape (FIELD_KINDS, band)."""
    rng = np.random.default_rng(stream_key(seed, 0xF1E1D))
    crops = list(_table()["crops"].values())
    kinds = rng.choice(len(crops), size=FIELD_KINDS, p=_shares(crops))
    shift = np.clip(rng.normal(0, 6, FIELD_KINDS), -12, 12)
    vigour = np.clip(rng.normal(1, 0.09, FIELD_KINDS), 0.7, 1.15)
    lightness = np.clip(rng.normal(0.40, 0.30, FIELD_KINDS), -0.15, 1.15)
    bright = np.exp(rng.normal(0, 0.07, FIELD_KINDS))
    tint = np.exp(rng.normal(0, 0.025, (FIELD_KINDS, typical.shape[1])))
    soil = typical[unit("soil_dark")] + lightness[:, None] * (typical[unit("soil_light")] - typical[unit("soil_dark")])
    spectra = np.empty_like(soil)
    for index, crop in enumerate(crops):
        mine = kinds == index
        calendar = np.array(crop["calendar"])
        local_day = np.clip(day_of_year - shift[mine], 1, 366)
        cover = np.stack([np.interp(local_day, calendar[:, 0], calendar[:, column]) for column in range(1, 6)], axis=1)
        living = cover[:, 1:3] * np.minimum(vigour[mine], 1.0)[:, None]
        cover[:, 0] += (cover[:, 1:3] - living).sum(axis=1)
        cover[:, 1:3] = living
        parts = np.stack(
            [
                soil[mine],
                *(
                    np.broadcast_to(typical[unit(name)], soil[mine].shape)
                    for name in (crop["green"], crop["flower"], crop["ripe"], "stubble")
                ),
            ],
            axis=1,
        )
        spectra[mine] = (cover[:, :, None] * parts).sum(axis=1) / cover.sum(axis=1)[:, None]
    return spectra * tint * bright[:, None], soil * bright[:, None]


def _shares(crops: list[dict[str, Any]]) -> FloatArray:
    shares = np.array([crop["share"] for crop in crops])
    return np.asarray(shares / shares.sum())
