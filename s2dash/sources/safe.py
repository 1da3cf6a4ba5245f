"""A scene in an unpacked Sentinel-2 level 2A product (`.SAFE`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as ET

from s2dash.bands import sensor_table
from s2dash.errors import SceneError, TooFewBandsError
from s2dash.radiometry import DeclaredRadiometry
from s2dash.sources.folder import check_same_image, choose_finest, name_files, raster_paths
from s2dash.sources.layout import Layout, split_layers
from s2dash.sources.product import find_day, find_product

METADATA = "MTD_MSIL2A.xml"
"""The file with scale and offset of the product."""
_MAX_BYTES = 20 * 2**20
_FIRST_OFFSET_BASELINE = 4.0
_BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Order of `band_id` in the metadata."""


@dataclass(frozen=True)
class SafeMetadata:
    """What `MTD_MSIL2A.xml` says."""

    quantification: float | None
    """Digital numbers to reflectance 1, usually 10000."""
    offsets: dict[str, float] = field(default_factory=dict)
    """Band → digital numbers to add before dividing; empty before baseline 04.00."""
    baseline: str = ""
    """Processing baseline, e.g. `05.09`."""
    product: str = ""
    """Product identifier."""
    sensed: date | None = None
    """Day the image was taken."""


def is_safe(path: Path) -> bool:
    """Whether a folder is an unpacked product."""
    return path.suffix.upper() == ".SAFE" or (path / METADATA).exists() or (path / "GRANULE").is_dir()


def safe_layout(path: Path) -> Layout:
    """Find the bands of an unpacked level 2A product, each at its finest resolution, and its scale and offset.

    Where metadata are missing or make no sense, nothing is declared, and a note says that the pixels are asked.

    Raises:
        SceneError: If it is a level 1C product, or holds several tiles.
        TooFewBandsError: If the images are not there.
    """
    if (path / "MTD_MSIL1C.xml").exists() or "_MSIL1C_" in path.name:
        raise SceneError(
            f"{path} is a level 1C product (top of atmosphere). The method needs level 2A (surface reflectance): "
            "download that, or run Sen2Cor."
        )
    images = _image_folder(path)
    files = raster_paths(images)
    found, _ = choose_finest(_finest_names(name_files(files)[0]))
    layers, scl, notes = split_layers(found)
    if len(layers) < 2:
        raise TooFewBandsError(
            f"{images} holds {'only ' + layers[0].band if layers else 'no band'}; the method needs at least two. "
            "Was the product unpacked completely?"
        )
    check_same_image(images, [Path(layer.file.path) for layer in layers])
    try:
        metadata, problem = read_safe_metadata(path / METADATA), ""
    except SceneError as error:
        metadata, problem = SafeMetadata(quantification=None), str(error)
    declared, doubt = _declared(metadata, tuple(layer.band for layer in layers))
    if problem or doubt:
        notes += (f"{problem or doubt} Scale and offset are judged from the pixels.",)
    texts = [metadata.product, path.name, *(Path(layer.file.path).stem for layer in layers)]
    product = find_product(texts) or metadata.product.removesuffix(".SAFE")
    return Layout(
        layers=layers,
        scl=scl,
        title=path.name.removesuffix(".SAFE"),
        declared=declared,
        acquired=find_day([product]) or metadata.sensed or find_day(texts),
        product=product,
        notes=notes,
    )


def _image_folder(path: Path) -> Path:
    granules = sorted(item for item in (path / "GRANULE").glob("*/IMG_DATA") if item.is_dir())
    if not granules:
        raise TooFewBandsError(f"{path} holds no GRANULE/*/IMG_DATA folder. Was the product unpacked completely?")
    if len(granules) > 1:
        names = ", ".join(item.parent.name for item in granules[:5])
        raise SceneError(
            f"{path} holds {len(granules)} tiles ({names}), and a scene is one. Give the IMG_DATA folder of one, "
            f"for example {granules[0]}."
        )
    return granules[0]


def _finest_names(named: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Drop the copies at coarser resolutions by the names of their folders: the headers need not be opened."""
    order = {"R10m": 0, "R20m": 1, "R60m": 2}
    best: dict[str, int] = {}
    for name, item in named:
        rank = order.get(item.parent.name, 0)
        best[name] = min(best.get(name, rank), rank)
    return [(name, item) for name, item in named if order.get(item.parent.name, 0) == best[name]]


def _declared(metadata: SafeMetadata, bands: tuple[str, ...]) -> tuple[DeclaredRadiometry | None, str]:
    """Scale and offset of the product; or why they cannot be had from its metadata."""
    if metadata.quantification is None:
        return None, f"{METADATA} names no quantification value."
    origin = METADATA + (f" (processing baseline {metadata.baseline})" if metadata.baseline else "")
    offsets = {metadata.offsets.get(band) for band in bands} if metadata.offsets else set()
    if offsets and (len(offsets) > 1 or None in offsets):
        return None, f"{METADATA} has no one offset for all bands."
    if not offsets and not _before_offsets(metadata.baseline):
        return (
            None,
            f"{METADATA} lists no offsets, though its processing baseline ({metadata.baseline or 'unknown'}) may.",
        )
    offset = next(iter(offsets)) if offsets else 0.0
    return DeclaredRadiometry(1 / metadata.quantification, (offset or 0.0) / metadata.quantification, origin), ""


def _before_offsets(baseline: str) -> bool:
    try:
        return float(baseline) < _FIRST_OFFSET_BASELINE
    except ValueError:
        return False


class _NoDoctype(ET.TreeBuilder):
    """Refuses document types before any entity in them is declared, let alone fetched or expanded."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        raise SceneError(f"it declares a document type ({name}), which no Sentinel-2 metadata do")


def read_safe_metadata(path: Path) -> SafeMetadata:
    """Read `MTD_MSIL2A.xml`, of any processing baseline.

    Raises:
        SceneError: If it is missing, too large, no XML, or declares a document type.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SceneError(f"{path.name} is larger than {_MAX_BYTES // 2**20} MiB and is not read.")
        parser = ET.XMLParser(target=_NoDoctype())
        parser.feed(path.read_bytes())
        root = parser.close()
    except OSError as error:
        raise SceneError(f"{path.name} cannot be read ({error.strerror}).") from error
    except (ET.ParseError, ValueError, LookupError) as error:
        raise SceneError(f"{path.name} is not readable XML ({error}).") from error
    except SceneError as error:
        raise SceneError(f"{path.name} is not used: {str(error).rstrip('.')}.") from error
    return _collect(root)


def _collect(root: ET.Element) -> SafeMetadata:
    quantification: float | None = None
    offsets: dict[str, float] = {}
    texts: dict[str, str] = {}
    for tag, element in _walk(root):
        text = (element.text or "").strip()
        if tag in {"BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"}:
            value = _number(text)
            quantification = value if value is not None and value > 0 else None
        elif tag == "BOA_ADD_OFFSET":
            band, value = _band(element.get("band_id", "")), _number(text)
            if band and value is not None:
                offsets[band] = value
        elif text:
            texts.setdefault(tag, text)
    sensed = find_day([texts.get("PRODUCT_START_TIME", ""), texts.get("DATATAKE_SENSING_START", "")])
    return SafeMetadata(
        quantification=quantification,
        offsets=offsets,
        baseline=texts.get("PROCESSING_BASELINE", ""),
        product=texts.get("PRODUCT_URI", texts.get("PRODUCT_URI_2A", "")),
        sensed=sensed,
    )


def _walk(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    for element in root.iter():
        if isinstance(element.tag, str):
            yield element.tag.rpartition("}")[2], element


def _band(identifier: str) -> str | None:
    if identifier.isdecimal() and int(identifier) < len(_BAND_IDS):
        return _BAND_IDS[int(identifier)]
    return identifier if identifier in sensor_table() else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
