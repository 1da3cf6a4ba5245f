"""Simulated scenes: asked for by their parameters, or by the location that their provenance shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from rasterio.windows import Window

from s2dash.bands import method_bands
from s2dash.errors import SceneError
from s2dash.grid import full_window
from s2dash.scene import Provenance, Radiometry, Scene
from s2dash.simulation.source import Recipe, SimulatedSource
from s2dash.types import LabelArray

PREFIX = "simulated:"
"""How the location of a simulated scene starts."""
ATTRIBUTION = "Simulated by s2dash; no satellite data"
"""Stands where real scenes name Copernicus."""
SEASON = (date(2021, 4, 22), date(2021, 5, 22), date(2021, 7, 1), date(2021, 8, 10), date(2021, 9, 25))
"""Days that show the crops of a year."""
_LARGEST_SIDE = 200_000
_SIZE = re.compile(r"(\d+)(?:\s*[x×]\s*(\d+))?", re.IGNORECASE)
_KEYS = "size (512 or HEIGHTxWIDTH, pixels), seed (an integer), day (YYYY-MM-DD), clouds (0-1), shifted (0 or 1)"
_EXAMPLE = "simulated:size=512x512,seed=0,day=2021-07-01,clouds=0.1"


@dataclass(frozen=True)
class SimulatedScene:
    """A simulated scene, and what is really there."""

    scene: Scene
    """As if from the satellite; `scene.simulated` is true."""
    source: SimulatedSource
    """Draws its pixels."""

    @property
    def recipe(self) -> Recipe:
        """All that it follows from."""
        return self.source.recipe

    def truth(self, window: Window | None = None) -> LabelArray:
        """What covers the ground, in codes of ESA WorldCover, exact and without clouds.

        Each pixel's class is the one that covers most of its 10 m x 10 m, found at four positions; point-spread
        function and noise play no part in it, and it is the same on every day.

        Args:
            window: Defaults to the whole scene.

        Returns:
            Shape (y, x), uint8.
        """
        return self.source.read_truth(window or full_window(self.source.grid))


def simulate_scene(
    *,
    size: int | tuple[int, int] = 512,
    seed: int = 0,
    day: date = date(2021, 7, 1),
    cloud_share: float = 0.0,
    shifted: bool = False,
) -> SimulatedScene:
    """A landscape that does not exist, as Sentinel-2 would see it.

    Nothing is computed before it is read, and then only the tiles under the window: a whole Sentinel-2 tile
    (10980) costs no more memory than a small scene. The same parameters give the same numbers, bit for bit.

    Args:
        size: Height and width, or one side of a square, pixels of 10 m.
        seed: Of everything random; another seed is another landscape.
        day: Sets crops, leaves, sun and clouds; the landscape stays.
        cloud_share: Share of the scene hidden by clouds, cirrus and their shadows, 0-1.
        shifted: Add 1000 to the digital numbers, as from processing baseline 04.00 on.

    Raises:
        SceneError: If a size, a share or a seed is out of range.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if not (1 <= height <= _LARGEST_SIDE and 1 <= width <= _LARGEST_SIDE):
        raise SceneError(f"A simulated scene has 1 to {_LARGEST_SIDE} pixels a side, not {height} x {width}.")
    if not 0 <= cloud_share <= 1:
        raise SceneError(f"The cloud share {cloud_share} is not between 0 and 1. Give a share such as 0.1 for 10 %.")
    if not 0 <= seed < 2**32:
        raise SceneError(f"The seed {seed} is not between 0 and {2**32 - 1}.")
    return _scene(Recipe(int(height), int(width), int(seed), day, float(cloud_share), shifted))


def simulate_season(
    *,
    size: int | tuple[int, int] = 512,
    seed: int = 0,
    days: Sequence[date] = SEASON,
    cloud_share: float = 0.0,
) -> tuple[SimulatedScene, ...]:
    """The same landscape on several days; parameters as in `simulate_scene`."""
    return tuple(simulate_scene(size=size, seed=seed, day=day, cloud_share=cloud_share) for day in days)


def location_of(recipe: Recipe) -> str:
    """The text that `parse_location` reads back."""
    text = (
        f"{PREFIX}size={recipe.height}x{recipe.width},seed={recipe.seed},day={recipe.day.isoformat()},"
        f"clouds={recipe.clouds!r}"
    )
    return f"{text},shifted=1" if recipe.shifted else text


def parse_location(location: str) -> SimulatedScene:
    """The scene that a location such as `simulated:size=512x512,seed=0,day=2021-07-01,clouds=0.1` names.

    What is not named has its default; `simulated:` alone is the default scene.

    Raises:
        SceneError: If it does not start with `simulated:`, or a key or value makes no sense.
    """
    if not location.startswith(PREFIX):
        raise SceneError(f"{location!r} does not name a simulated scene, which starts with {PREFIX!r}: {_EXAMPLE}.")
    asked: dict[str, str] = {}
    for part in filter(None, (text.strip() for text in location[len(PREFIX) :].split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in {"size", "seed", "day", "clouds", "shifted"}:
            raise SceneError(f"{part!r} in {location!r} is not understood. Known keys: {_KEYS}. Example: {_EXAMPLE}.")
        if key in asked:
            raise SceneError(f"{key!r} is given twice in {location!r}. Give each key once. Keys: {_KEYS}.")
        asked[key] = value
    height, width = _parse_size(asked.get("size", "512"), location)
    default = Recipe()
    try:
        seed = int(asked.get("seed", default.seed))
        day = date.fromisoformat(asked["day"]) if "day" in asked else default.day
        clouds = float(asked.get("clouds", default.clouds))
        shifted = {"0": False, "1": True}[asked.get("shifted", "0")]
    except (KeyError, ValueError) as error:
        raise SceneError(
            f"{location!r} has a value that makes no sense. Keys: {_KEYS}. Example: {_EXAMPLE}."
        ) from error
    try:
        return simulate_scene(size=(height, width), seed=seed, day=day, cloud_share=clouds, shifted=shifted)
    except SceneError as error:
        raise SceneError(f"{error} This is asked for by {location!r}. Keys: {_KEYS}.") from error


def _parse_size(text: str, location: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise SceneError(
            f"The size {text!r} in {location!r} is not understood. Give 512 or HEIGHTxWIDTH, as in 512x768."
        )
    height = int(match[1])
    return height, int(match[2]) if match[2] else height


def _scene(recipe: Recipe) -> SimulatedScene:
    source = SimulatedSource(recipe)
    evidence = "The numbers are simulated: reflectance x 10000" + (
        ", shifted by +1000 as from processing baseline 04.00." if recipe.shifted else ", not shifted."
    )
    scene = Scene(
        source=source,
        bands=method_bands(),
        radiometry=Radiometry(offset=-0.1 if recipe.shifted else 0.0, rule="simulated", evidence=evidence),
        provenance=Provenance(
            title=f"Simulated landscape, {recipe.day.day} {recipe.day:%B %Y}",
            kind="simulated",
            location=location_of(recipe),
            acquired=recipe.day,
            attribution=ATTRIBUTION,
            notes=("Simulated: no satellite saw this, and the place is fictitious.",),
        ),
    )
    return SimulatedScene(scene=scene, source=source)
