"""Where scenes come from: files on disk, arrays in memory, the simulation."""

from s2dash.sources.arrays import ArraySource
from s2dash.sources.describe import describe_scene
from s2dash.sources.load import load_scene
from s2dash.sources.raster import RasterSource

__all__ = ["ArraySource", "RasterSource", "describe_scene", "load_scene"]
