"""What every reader of vector files does first: refuse what is none, and put what GDAL says into words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shapely

from s2dash.errors import S2DashError


def check_vector_file(
    path: Path, *, kinds: Sequence[str], most_bytes: int | None, what: str, error: type[S2DashError]
) -> None:
    """Refuse what is not one of the kinds that are read, whatever it is called: GDAL opens far more than those.

    Args:
        path: The file.
        kinds: Endings that are read, without the dot.
        most_bytes: A larger file is refused; None for no limit.
        what: What is read from it, for the texts of errors.
        error: Which error to raise.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in kinds:
        raise error(f"{path.name} is no file that {what} are read from. Give one of: {', '.join(kinds)}.")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8192)
    except OSError as failure:
        raise error(f"{path} cannot be read: {failure.strerror}. Check the spelling, or give another file.") from None
    if most_bytes is not None and size > most_bytes:
        raise error(
            f"{path.name} is {size / 2**20:,.0f} MiB, at most {most_bytes // 2**20} are read. Save the part that is "
            "meant alone."
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    sound = {
        "gpkg": head.startswith(b"SQLite format 3\0") and head[68:70] == b"GP",  # OGC 12-128r19, req. 2
        "kml": text.startswith(b"<") and b"<kml" in head and b"OGRVRTDataSource" not in head,
        "shp": head.startswith(b"\0\0\x27\x0a"),
    }.get(suffix, text.startswith(b"{"))
    if not sound:
        raise error(
            f"{path.name} is {'empty' if size == 0 else 'damaged, or no ' + suffix.upper() + ' file'}. Save it again, "
            "or give another file."
        )


def polygon_layers(layers: Iterable[tuple[Any, Any]]) -> tuple[str, ...]:
    """Names of the layers that may hold polygons, from `pyogrio.list_layers`."""
    flat = {None, "None"}  # tables without geometry
    return tuple(
        str(name)
        for name, kind in layers
        if kind not in flat and not any(word in str(kind) for word in ("Point", "LineString"))
    )


@contextmanager
def vector_errors(path: Path, error: type[S2DashError]) -> Iterator[None]:
    """Whatever GDAL says of a file, as one of our errors."""
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

    broken = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError)
    try:
        yield
    except (*broken, shapely.errors.ShapelyError, OSError, UnicodeError) as failure:
        said = " ".join(str(failure).split())[:160]
        raise error(f"{path.name} cannot be read ({said}). Save it again, or give another file.") from failure
