"""The `.aux.xml` beside a class map: the names that a TIFF cannot hold, as GDAL and QGIS read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIELDS = (("Value", 0, 5), ("Count", 0, 1), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8),
           ("Alpha", 0, 9))  # fmt: skip
"""Columns of GDAL's raster attribute table: name, type (0 integer, 2 text), usage."""


def attribute_table(
    names: Mapping[int, str], palette: Mapping[int, tuple[int, int, int, int]], counts: Any
) -> ET.Element:
    """Category names and a raster attribute table, as GDAL's persistent auxiliary metadata has them."""
    band = ET.Element("PAMRasterBand", band="1")
    categories = ET.SubElement(band, "CategoryNames")
    for code in range(max(names, default=-1) + 1):
        ET.SubElement(categories, "Category").text = _NOT_XML.sub(" ", names.get(code, ""))
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_FIELDS):
        field = ET.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", str(kind)), ("Usage", str(usage))):
            ET.SubElement(field, tag).text = text
    for index, (code, name) in enumerate(sorted(names.items())):
        row = ET.SubElement(table, "Row", index=str(index))
        for value in (code, int(counts[code]), _NOT_XML.sub(" ", name), *palette[code]):
            ET.SubElement(row, "F").text = str(value)
    return band


def sidecar_path(path: Path) -> Path:
    """Where GDAL looks for what a TIFF cannot hold."""
    return path.with_name(f"{path.name}.aux.xml")


def write_sidecar(path: Path, band: ET.Element) -> None:
    """Write the names, keeping what GDAL itself may have put there."""
    root = ET.parse(path).getroot() if path.is_file() else ET.Element("PAMDataset")
    present = root.find("PAMRasterBand[@band='1']")
    if present is None:
        root.append(band)
    else:
        present.extend(list(band))
    ET.indent(root)
    # Without a declaration: GDAL takes the first node for the root.
    path.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=False))
