"""Reference maps of polygons: which attribute says the class, what it says, and the classes on a grid.

A pixel takes the class of the polygon in which its centre lies, where several overlap that of the later one. An
attribute holds numbers, which a scheme's map translates, or words, which the person's own map translates, else the
names and synonyms of the classes. What neither knows is counted and takes no part in any score.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from s2dash.annotation.normalise import normalise
from s2dash.canvas import ClassCanvas, degrees
from s2dash.errors import NoOverlapError, ReferenceMapError
from s2dash.grid import latitude_longitude_bounds, slices, strips
from s2dash.map_values import MapValue, map_value
from s2dash.polygons_on_grid import OntoGrid, ShapeArray, only_areas
from s2dash.progress import Progress, Silent, steps
from s2dash.schemes import NO_DATA, ClassScheme, SchemeMap, load_scheme, load_scheme_map
from s2dash.vector_files import check_vector_file, polygon_layers, vector_errors

SUFFIXES = ("geojson", "json", "gpkg", "kml", "shp")
"""Kinds of files that are read."""
MAX_TEXT_BYTES = 256 * 2**20
"""A larger GeoJSON or KML is refused: they have no index, so all of it would be taken into memory."""
MAX_FEATURES = 500_000
"""Most polygons at a scene that are read."""
MORE = "…"
"""Under what the pixels of unknown values are counted that are too many to be told apart."""


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AT_A_TIME = 2_000
"""Polygons that are projected and burnt at a time."""
_SURE = frozenset({"key", "name", "synonym", "stem"})
"""By what a word counts as a class: never by likeness, and by no number, which would be of another scheme."""
_CLASS_FIELDS = _word_set(
    "class classcode classid classname code clc clccode clcclass code90 code00 code06 code12 code18 lc lccode lcclass"
    " landcover landcovercode landcoverclass landuse lulc lulccode cover covertype label category gridcode dn value"
    " клас код назвакласу кодкласу"
)
"""What attributes with classes are called, without case, spaces and underscores."""
_OTHER_FIELDS = _word_set(
    "id fid gid ogcfid objectid uuid shapelength shapearea timestamp begin end altitudemode tessellate extrude"
    " visibility draworder icon snippet description"
)
"""What attributes without classes are called: numbers of features, and what every KML has."""


@dataclass(frozen=True)
class _Layer:
    """A layer that may hold polygons."""

    name: str
    fields: Mapping[str, str]
    """Attributes with what they hold, as NumPy calls it."""
    crs: str | None


def is_vector(path: str | Path) -> bool:
    """Whether a file is read as polygons, by its ending."""
    return Path(path).suffix.lower().lstrip(".") in SUFFIXES


def vector_fields(path: Path) -> tuple[str, ...]:
    """Names of all attributes of the polygons in a file.

    Raises:
        ReferenceMapError: If it cannot be read, or holds no polygons.
    """
    return tuple(_fields(_layers(path)))


def class_field(path: Path, field: str = "") -> str:
    """Which attribute says the class of each polygon.

    Args:
        path: The file.
        field: The person's choice; case does not matter. Empty for the only attribute that is called like classes are,
            or else the only one that holds whole numbers or text.

    Raises:
        ReferenceMapError: If there is no such attribute, or several may be meant; the text lists them.
    """
    return _class_field(path, _fields(_layers(path)), field)


def value_class(value: MapValue, scheme_map: SchemeMap, scheme: ClassScheme) -> int | None:
    """The class code that a value of a map stands for; 0 for left out, None for unknown.

    Args:
        value: A code, or a word.
        scheme_map: The person's, or a shipped one, to `scheme`.
        scheme: In whose codes the answer is.
    """
    if isinstance(value, int):
        return scheme_map.codes.get(value)
    own = {_folded(name): code for name, code in scheme_map.names.items()}
    if _folded(value) in own:
        return own[_folded(value)]
    found = normalise(value, scheme, least=1.0)
    if found.code is not None and found.how in _SURE:
        return found.code
    if scheme.name == "worldcover":
        return None
    found = normalise(value, load_scheme("worldcover"), least=1.0)  # it has classes that smaller schemes leave out
    if found.code is None or found.how not in _SURE:
        return None
    return load_scheme_map("worldcover", scheme.name).codes.get(found.code)


def polygon_values(path: Path, *, grid: GeoBox, field: str = "") -> Counter[MapValue]:
    """What the polygons at a grid say, with the number of polygons.

    Raises:
        ReferenceMapError: See `paint_polygons`.
    """
    found: Counter[MapValue] = Counter()
    layers = _layers(path)
    field = _class_field(path, _fields(layers), field)
    for layer in layers:
        if field in layer.fields:
            values, _ = _read(path, layer, field, OntoGrid(grid, _system(path, layer)), shapes=False)
            found.update(value for value in values if value is not None)
    if not found:
        raise _no_overlap(path, layers, grid)
    return found


def paint_polygons(
    canvas: ClassCanvas, path: Path, *, field: str = "", progress: Progress | None = None
) -> tuple[str, ...]:
    """Lay the polygons of a file over an empty canvas.

    Args:
        canvas: Its codes, unknown values and filled pixels are set.
        path: GeoJSON, GeoPackage, KML or Shapefile.
        field: Which attribute says the class, see `class_field`.
        progress: Told about each part.

    Returns:
        What a person should know.

    Raises:
        ReferenceMapError: If it cannot be read, does not say where it lies, or which attribute is meant.
        NoOverlapError: If no polygon covers the centre of a pixel.
    """
    layers = _layers(path)
    field = _class_field(path, _fields(layers), field)
    slots = _Slots(canvas)
    lost = 0
    for layer in layers:
        if field not in layer.fields:
            continue
        onto = OntoGrid(canvas.grid, _system(path, layer))
        values, shapes = _read(path, layer, field, onto, shapes=True)
        areas = [only_areas(shape) for shape in shapes]
        lost += sum(area is None for area in areas)
        # A polygon without a class covers nothing.
        kept = [at for at, area in enumerate(areas) if area is not None and values[at] is not None]
        parts = [kept[start : start + _AT_A_TIME] for start in range(0, len(kept), _AT_A_TIME)]
        watch = progress or Silent()
        for part in steps(parts, total=len(parts), progress=watch, text="Reading the reference map"):
            placed, origin = onto.place(np.array([areas[at] for at in part], dtype=object))
            _burn(placed, [slots.of(values[part[at]]) for at in origin], canvas)
    slots.settle()
    if canvas.filled == 0:
        raise _no_overlap(path, layers, canvas.grid)
    notes = (f"The class of each polygon is from the field {field!r}.",)
    return (*notes, f"Points, lines and damaged shapes were left out: {lost:,}.") if lost else notes


class _Slots:
    """What is burnt while polygons still cover each other: class codes, and of the rest of a byte, one a value.

    So that one byte a pixel is enough also for knowing, in the end, how many pixels each unknown value has.
    """

    def __init__(self, canvas: ClassCanvas) -> None:
        self._canvas = canvas
        free = [code for code in range(1, 256) if code not in canvas.scheme]
        self._left_out, self._more, *self._free = free if len(free) > 1 else [255, 255]
        self._slots: dict[MapValue, int] = {}
        self._unknown: dict[int, MapValue] = {}

    def of(self, value: MapValue | None) -> int:
        """What to burn for a value."""
        assert value is not None
        if value not in self._slots:
            code = value_class(value, self._canvas.scheme_map, self._canvas.scheme)
            if code is None:
                slot = self._free.pop(0) if self._free else self._more
                self._unknown[slot] = value if slot != self._more else MORE
            else:
                slot = self._left_out if code == NO_DATA else code
            self._slots[value] = slot
        return self._slots[value]

    def settle(self) -> None:
        """Count, and leave only class codes."""
        canvas = self._canvas
        table = np.array([code if code in canvas.scheme else NO_DATA for code in range(256)], dtype=np.uint8)
        counts = np.zeros(256, dtype=np.int64)
        for window in strips(canvas.grid, rows=1024):
            part = canvas.codes[slices(window)]
            counts += np.bincount(part.ravel(), minlength=256)
            part[...] = table[part]
        canvas.filled = int(counts[1:].sum())
        canvas.unknown.update({value: int(counts[slot]) for slot, value in self._unknown.items() if counts[slot]})


def _burn(shapes: ShapeArray, codes: list[int], canvas: ClassCanvas) -> None:
    from rasterio.features import rasterize

    if not np.isfinite(shapely.get_coordinates(shapes)).all():
        raise ReferenceMapError(
            "A polygon of the reference has corners that the scene's projection has no place for. Cut the reference to "
            "the surroundings of the scene."
        )
    if len(shapes):
        rasterize(zip(shapes, codes, strict=True), out=canvas.codes)


def _layers(path: Path) -> list[_Layer]:
    import pyogrio

    limit = None if path.suffix.lower() in (".gpkg", ".shp") else MAX_TEXT_BYTES
    check_vector_file(path, kinds=SUFFIXES, most_bytes=limit, what="reference polygons", error=ReferenceMapError)
    with vector_errors(path, ReferenceMapError):
        found = []
        for name in polygon_layers(pyogrio.list_layers(path)):
            about = pyogrio.read_info(path, layer=name)
            fields = {str(one): str(kind) for one, kind in zip(about["fields"], about["dtypes"], strict=True)}
            found.append(_Layer(name, fields, about["crs"]))
    if not found:
        raise ReferenceMapError(
            f"{path.name} holds no polygons, only points, lines or tables. Give polygons with a field that says the "
            "class."
        )
    return found


def _fields(layers: list[_Layer]) -> dict[str, str]:
    return {name: kind for layer in reversed(layers) for name, kind in layer.fields.items()}


def _class_field(path: Path, fields: Mapping[str, str], field: str) -> str:
    listed = ", ".join(repr(name) for name in fields) or "none"
    if field:
        same = [name for name in fields if name == field] or [
            name for name in fields if name.casefold() == field.strip().casefold()
        ]
        if len(same) != 1:
            raise ReferenceMapError(
                f"The polygons of {path.name} have no field {field!r}. Their fields: {listed}. Name the one that says "
                "the class."
            )
        return same[0]
    called = [name for name in fields if _plain(name) in _CLASS_FIELDS]
    telling = [
        name
        for name, kind in fields.items()
        if _plain(name) not in _OTHER_FIELDS and (kind == "object" or kind.startswith(("int", "uint")))
    ]
    for found in (called, telling):
        if len(found) == 1:
            return found[0]
    raise ReferenceMapError(
        f"Nobody knows which field of {path.name} says the class of each polygon. Its fields: {listed}. Name one, with "
        "--reference-field or in the form."
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _system(path: Path, layer: _Layer) -> CRS:
    if layer.crs is None and path.suffix.lower() not in (".geojson", ".json"):
        raise ReferenceMapError(
            f"{path.name} does not say in which coordinate system it is. Set it, for example in QGIS with Layer > Set "
            "CRS, and save the file again; a Shapefile needs its .prj beside it."
        )
    try:
        return CRS.from_user_input(layer.crs or "OGC:CRS84")  # RFC 7946, 4
    except ProjError as error:
        raise ReferenceMapError(
            f"{path.name} is in a coordinate system that is not known ({str(error)[:120]}). Save it in WGS 84 "
            "(EPSG:4326)."
        ) from None


def _read(
    path: Path, layer: _Layer, field: str, onto: OntoGrid, *, shapes: bool
) -> tuple[list[MapValue | None], ShapeArray]:
    """Values, and on request shapes, of the features at a grid, in the order of the file."""
    from pyogrio import raw

    with vector_errors(path, ReferenceMapError):
        _, fids, encoded, columns = raw.read(
            path,
            layer=layer.name,
            columns=[field],
            read_geometry=shapes,
            force_2d=True,
            bbox=onto.bounds,
            return_fids=True,
            max_features=MAX_FEATURES + 1,
        )
        if len(fids) > MAX_FEATURES:
            raise ReferenceMapError(
                f"{path.name} has more than {MAX_FEATURES:,} polygons at the scene. Join those of one class, or make a "
                "raster of it, for example with gdal_rasterize."
            )
        order: NDArray[np.intp] = np.argsort(fids, kind="stable")  # an index may hand them out in another one
        decoded = np.empty(0, dtype=object)
        if shapes:
            decoded = shapely.from_wkb(encoded[order], on_invalid="ignore")
    return list(_values(path, field, columns[0][order])), decoded


def _values(path: Path, field: str, column: NDArray[np.generic]) -> Iterator[MapValue | None]:
    for raw_value in column:
        try:
            yield map_value(raw_value)
        except ValueError as error:
            raise ReferenceMapError(
                f"The field {field!r} of {path.name} holds {error}, which is no class: whole numbers or words are. "
                "Name another field."
            ) from None


def _no_overlap(path: Path, layers: list[_Layer], grid: GeoBox) -> NoOverlapError:
    import pyogrio

    scene = degrees(latitude_longitude_bounds(grid))
    lies = ""
    with vector_errors(path, ReferenceMapError):
        found = pyogrio.read_info(path, layer=layers[0].name, force_total_bounds=True)["total_bounds"]
    if found is not None and np.isfinite(found).all():
        turn = Transformer.from_crs(_system(path, layers[0]), "EPSG:4326", always_xy=True)
        lies = f", the reference at {degrees(turn.transform_bounds(*found))}"
    return NoOverlapError(
        f"No polygon with a class in {path} covers the middle of a pixel of the scene: the scene lies at {scene}"
        f"{lies}. Give a map of the same place."
    )
