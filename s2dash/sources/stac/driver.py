"""How odc-stac reads the files of Sentinel-2: 0 is no data, whether they say so or not.

odc-stac 0.5 hands the no-data value of an item, or of its own `nodata` argument, on to the result only, never to the
resampling: beside the zeros of a file that declares none (every JPEG 2000 file, some GeoTIFFs) bilinear means came out
too low. The driver tells the reader itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from odc.loader import RioDriver, RioReader


class ZeroIsNoData(RioDriver):
    """The usual driver, with readers that leave 0 out of every mean."""

    def open(self, src: Any, ctx: Any) -> RioReader:
        """A reader of one file."""
        return _Reader(src, ctx)


class _Reader(RioReader):
    """Reads with 0 as no data."""

    def read(self, cfg: Any, dst_geobox: Any, **more: Any) -> Any:
        """As `RioReader.read`."""
        return super().read(replace(cfg, src_nodata_override=0), dst_geobox, **more)
