"""Reading the bands of one image on a grid: windows of remote tiles, joined, with retries and fresh signatures."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import rasterio
import shapely
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from s2dash.errors import AreaError, ImageryError
from s2dash.progress import Progress, Silent
from s2dash.scene import has_data
from s2dash.sources.stac.addresses import (
    Patience,
    gdal_path,
    hide_secrets_in_logs,
    network_options,
    without_query,
    without_secrets,
)
from s2dash.sources.stac.catalogues import Catalogue
from s2dash.sources.stac.items import SceneItem, Tile
from s2dash.sources.stac.signing import Signer
from s2dash.types import NumberArray

READ_ERRORS = (RasterioError, CPLE_BaseError, OSError)
"""What reading a remote raster may raise."""

_THREADS = 8
"""Bands read at a time: what takes time is the answer of a server, not its size."""
_SLACK_M = 300.0
"""Outlines in catalogues are coarse: a tile is looked into within this distance of its own, m."""
_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_GONE = ("response code: 404", "response code: 410", "NoSuchKey")
_NO_KEY = ("AWS_SECRET_ACCESS_KEY", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId")
"""What GDAL and buckets say to those who have no key, or a wrong one."""
_REFUSED = ("response code: 401", "response code: 403", *_NO_KEY)


class AssetGoneError(ImageryError):
    """A catalogue names a file that is not there, or that may not be read."""


@dataclass
class ImageReader:
    """Reads images of a catalogue; keeps signatures in memory between reads."""

    catalogue: Catalogue
    """Whose images."""
    bands: tuple[str, ...]
    """Bands that are read, in sensor order, and `SCL` last if it is wanted."""
    patience: Patience = field(default_factory=Patience)
    """How long servers are waited for."""

    def __post_init__(self) -> None:
        hide_secrets_in_logs()

    @cached_property
    def signer(self) -> Signer:
        """Where signatures come from."""
        return Signer(self.catalogue, self.patience)

    def read(
        self,
        image: SceneItem,
        grid: GeoBox,
        *,
        shifts: Mapping[str, int] | None = None,
        progress: Progress | None = None,
    ) -> NumberArray:
        """Digital numbers of an image on a grid, its tiles joined.

        Reflectance is brought there by bilinear interpolation, the scene classification by nearest neighbour; where a
        tile lies on the grid already its numbers are copied. Every pixel is from one tile: the first with data in all
        bands, tiles in the grid's own coordinate system first, as nothing is resampled twice there.

        Args:
            image: The image.
            grid: Where to.
            shifts: Added to the numbers of each tile where they are data, by identifier; 0 where it is not named.
            progress: Asked before each tile whether to go on.

        Returns:
            Shape (band, y, x) in the order of `bands`, uint16; 0 where there is no data in every band.

        Raises:
            ImageryError: If a tile cannot be read after all attempts.
        """
        height, width = (int(side) for side in grid.shape)
        out = np.zeros((len(self.bands), height, width), dtype=np.uint16)
        spectral = [place for place, band in enumerate(self.bands) if band != "SCL"]
        missing = np.ones((height, width), dtype=bool)
        for tile in _ordered(image.tiles, grid):
            if not missing.any():
                break
            if not self._touches(tile, grid):
                continue
            (progress or Silent()).report(0.0, f"Reading {tile.id}")
            numbers = self.read_tile(tile, grid)
            take = missing & has_data(numbers[spectral])
            shift = (shifts or {}).get(tile.id, 0)
            if shift:
                raised = numbers[spectral].astype(np.int32) + shift
                numbers[spectral] = np.clip(raised, 1, np.iinfo(np.uint16).max)
            out[:, take] = numbers[:, take]
            missing &= ~take
        return out

    def read_tile(self, tile: Tile, grid: GeoBox) -> NumberArray:
        """Digital numbers of one tile on a grid, shape (band, y, x), uint16; 0 is no data.

        Raises:
            AssetGoneError: If a file is not there, or may not be read.
            ImageryError: If it cannot be read after all attempts.
        """
        return np.asarray(self.patiently(tile, lambda again: self._load(tile, grid, fresh=again)))

    def read_overview(self, tile: Tile, bands: Sequence[str], *, side: int) -> NumberArray:
        """The whole tile at lower resolution, from the overviews of its files: shape (band, side, side), uint16.

        Raises:
            AssetGoneError: If a file is not there, or may not be read.
            ImageryError: If it cannot be read after all attempts.
        """

        def load(again: bool) -> NumberArray:
            parts = []
            with rasterio.Env(**self.options(again, tile)):
                for band in bands:
                    with rasterio.open(self.address(tile, band)) as dataset:
                        part = dataset.read(1, out_shape=(side, side))
                        if dataset.nodata not in (None, 0):
                            part[part == dataset.nodata] = 0
                        parts.append(part)
            return np.stack(parts).astype(np.uint16)

        return np.asarray(self.patiently(tile, load))

    def _touches(self, tile: Tile, grid: GeoBox) -> bool:
        from s2dash.area import AreaOfInterest

        box = grid.boundingbox
        try:
            outline = AreaOfInterest.from_geometry(tile.outline).projected(grid.crs.proj if grid.crs else 4326)
        except AreaError:  # beyond where the grid's coordinate system reaches: the file itself knows
            return True
        return bool(shapely.box(box.left, box.bottom, box.right, box.top).distance(outline) < _SLACK_M)

    def address(self, tile: Tile, band: str) -> str:
        """Where an asset is read from, signed if it must be; never to be shown."""
        address = gdal_path(tile.assets[band].address, local=self.catalogue.local)
        return self.signer.sign(address, collection=tile.collection)

    def options(self, again: bool, tile: Tile) -> dict[str, str]:
        """GDAL's options for reading a tile; `again` where a read has failed before."""
        options = dict(network_options(self.patience, s3_endpoint=self.catalogue.s3_endpoint))
        if again:  # GDAL remembers failed answers, and parts of files that came damaged
            places = {f"/vsicurl/{self.address(tile, band)}" for band in tile.assets}
            options["CPL_VSIL_CURL_NON_CACHED"] = ":".join(sorted(places))
        return options

    def _load(self, tile: Tile, grid: GeoBox, *, fresh: bool) -> NumberArray:
        """Let odc-stac bring the bands of a tile onto the grid."""
        import odc.stac

        from s2dash.sources.stac.driver import ZeroIsNoData

        item = self._item(tile, grid)
        with rasterio.Env(**self.options(fresh, tile)), warnings.catch_warnings():
            # odc-geo uses shapely and affine in ways that their newer versions warn about
            warnings.filterwarnings("ignore", message=r"The 'shapely\.ops", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message="Use `@` matmul", category=PendingDeprecationWarning)
            loaded = odc.stac.load(
                [item],
                bands=list(self.bands),
                geobox=grid,
                resampling={"*": "bilinear", "SCL": "nearest"},
                dtype="uint16",
                nodata=0,
                stac_cfg={"*": {"assets": {"*": {"data_type": "uint16", "nodata": 0}}, "warnings": "ignore"}},
                driver=ZeroIsNoData(),
                pool=min(_THREADS, len(self.bands)),
                fail_on_error=True,
            )
        return np.stack([loaded[band].values[0] for band in self.bands])

    def _item(self, tile: Tile, grid: GeoBox) -> Any:
        """An item with the assets wanted; its place is said to be the grid's, so that the files' own headers decide."""
        import pystac

        item = pystac.Item(tile.id, None, None, tile.taken, {}, stac_extensions=[_PROJECTION])
        place = {
            "proj:wkt2": grid.crs.to_wkt() if grid.crs else None,
            "proj:shape": list(grid.shape),
            "proj:transform": list(grid.transform)[:6],
        }
        for band in self.bands:
            asset = pystac.Asset(self.address(tile, band), media_type="image/tiff", roles=["data"], extra_fields=place)
            item.add_asset(band, asset)
        return item

    def patiently(self, tile: Tile, load: Callable[[bool], NumberArray]) -> NumberArray:
        """Try again what a server or the network broke; with a new signature what a server refused.

        Args:
            tile: What is read.
            load: Reads it; told whether it is tried again.

        Raises:
            AssetGoneError: If a file is not there, or may not be read.
            ImageryError: If it cannot be read after all attempts.
        """
        problem = ""
        for attempt in range(1, self.patience.attempts + 1):
            try:
                return np.asarray(load(attempt > 1))
            except READ_ERRORS as error:
                problem = without_secrets(_innermost(error))[:300]
                if any(sign in problem for sign in _GONE):
                    raise AssetGoneError(
                        f"A file of {tile.id} is not there: {problem}. The catalogue names it, its archive lost it; "
                        "choose another date or catalogue."
                    ) from None
                refused = any(sign in problem for sign in _REFUSED)
                if refused and not self.catalogue.token:
                    raise AssetGoneError(self._no_access(tile, problem)) from None
                if refused:
                    self.signer.forget(tile.collection)
            if attempt < self.patience.attempts:
                time.sleep(0 if refused else self.patience.pause(attempt))
        if refused:
            raise AssetGoneError(self._no_access(tile, problem))
        where = without_query(tile.assets[next(iter(tile.assets))].address) if tile.assets else self.catalogue.shown
        raise ImageryError(
            f"{tile.id} cannot be read after {self.patience.attempts} attempts ({where}: {problem}). What was fetched "
            "is kept; try again when the network is better, and it goes on from there."
        )

    def _no_access(self, tile: Tile, problem: str) -> str:
        way = (
            f"Make keys at {self.catalogue.keys} and put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            if self.catalogue.keys
            else "Choose another catalogue, or download the scene and open it as files"
        )
        return f"{self.catalogue.title or self.catalogue.name} does not let {tile.id} be read: {problem}. {way}."


def _ordered(tiles: Sequence[Tile], grid: GeoBox) -> list[Tile]:
    code = grid.crs.to_epsg() if grid.crs else None
    return sorted(tiles, key=lambda tile: tile.epsg != code)


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
