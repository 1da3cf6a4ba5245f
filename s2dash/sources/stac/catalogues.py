"""Where imagery is searched for: the catalogues the project knows, and any other one by its address."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from s2dash.errors import ImageryError
from s2dash.sources.stac.addresses import without_query

OffsetRule = Literal["harmonised", "shifted", "baseline", "metadata", "unknown"]
"""What is done about the +1000 of baseline 04.00; each is explained in `data/catalogues.toml`."""

DEFAULT_COLLECTION = "sentinel-2-l2a"
"""What Sentinel-2 level 2A is called nearly everywhere."""


@dataclass(frozen=True)
class CollectionRule:
    """What is known of a collection."""

    name: str
    """Its identifier."""
    offset: OffsetRule = "unknown"
    """What is done about the +1000."""
    assets: Mapping[str, str] = field(default_factory=dict)
    """Band (or `SCL`) → key of its asset; empty where the assets' own names are read."""


@dataclass(frozen=True)
class Catalogue:
    """A STAC API or a static catalogue."""

    name: str
    """Short name, e.g. `earth-search`; the address without its query where the project does not know it."""
    url: str
    """Address of its root: https://…, or a path to a catalog.json. May hold a key, so it is never shown."""
    title: str = ""
    """What to call it, for the person."""
    collections: Mapping[str, CollectionRule] = field(default_factory=dict)
    """What is known of its collections; the first one is the default."""
    token: str = ""
    """Where signatures for its assets are had, with `{collection}` in it; empty where none are needed."""
    token_hosts: tuple[str, ...] = ()
    """Ends of the hosts whose addresses are signed."""
    s3_endpoint: str = ""
    """Host that serves its s3:// addresses, by https unless it begins with http://."""
    keys: str = ""
    """Where a person gets the keys it needs; empty where it needs none."""

    @property
    def local(self) -> bool:
        """Whether it lies on this machine."""
        return urlsplit(self.url).scheme not in ("http", "https")

    @property
    def shown(self) -> str:
        """Its address without anything secret."""
        return without_query(self.url)

    def collection(self, name: str | None = None) -> CollectionRule:
        """What is known of a collection, or of the default one."""
        if name is None:
            return next(iter(self.collections.values()), CollectionRule(DEFAULT_COLLECTION))
        return self.collections.get(name, CollectionRule(name))


@cache
def known_catalogues() -> Mapping[str, Catalogue]:
    """The catalogues in `data/catalogues.toml` by name, the default one first."""
    text = resources.files("s2dash.data").joinpath("catalogues.toml").read_text("utf-8")
    found = {}
    for name, row in tomllib.loads(text).items():
        rules = {key: CollectionRule(key, **rule) for key, rule in row.pop("collections").items()}
        hosts = tuple(row.pop("token_hosts", ()))
        found[name] = Catalogue(name=name, collections=rules, token_hosts=hosts, **row)
    return found


def find_catalogue(source: str | Catalogue) -> Catalogue:
    """The catalogue a person names: `earth-search`, `planetary-computer`, `copernicus`, or an address.

    Raises:
        ImageryError: If it is neither known nor an address.
    """
    if isinstance(source, Catalogue):
        return source
    known = known_catalogues()
    text = source.strip()
    if text in known:
        return known[text]
    for catalogue in known.values():
        if text.rstrip("/") == catalogue.url:
            return catalogue
    if urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname:
        shown = without_query(text)
        return Catalogue(name=shown, url=text, title=urlsplit(text).hostname or shown)
    path = Path(text).expanduser()
    if path.suffix == ".json" and path.is_file():
        return Catalogue(name=str(path), url=str(path.absolute()), title=path.parent.name or path.name)
    raise ImageryError(
        f"{without_query(text)[:200]!r} is no catalogue: choose one of {', '.join(known)}, give the https:// address "
        "of a STAC API or static catalogue, or the path of a catalog.json."
    )
