"""Imagery from STAC catalogues: search, choose, fetch, composite."""

from s2dash.sources.stac.catalogues import Catalogue, find_catalogue, known_catalogues
from s2dash.sources.stac.fetch import FetchedScene, FetchSettings, fetch_images, fetch_scene
from s2dash.sources.stac.items import SceneItem, Tile
from s2dash.sources.stac.search import search_scenes
from s2dash.sources.stac.stack_file import open_fetched, read_layers

__all__ = [
    "Catalogue",
    "FetchSettings",
    "FetchedScene",
    "SceneItem",
    "Tile",
    "fetch_images",
    "fetch_scene",
    "find_catalogue",
    "known_catalogues",
    "open_fetched",
    "read_layers",
    "search_scenes",
]
