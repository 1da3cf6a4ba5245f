"""An archive on loopback, a cache, and little patience."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from server import StacServer
from stac_archive import BRISK, Archive

from s2dash.sources.stac.addresses import Patience
from s2dash.sources.stac.cache import ImageryCache


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive."""
    folder = tmp_path / "served"
    folder.mkdir()
    with StacServer(folder) as server:
        yield Archive(server)


@pytest.fixture
def cache(tmp_path: Path) -> ImageryCache:
    """An empty cache."""
    return ImageryCache(tmp_path / "cache")


@pytest.fixture
def brisk() -> Patience:
    """Little patience: tests must not wait."""
    return BRISK
