"""Addresses: which ones may be read, how GDAL is told to, and how nothing secret in them is ever said or kept."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from s2dash.errors import ImageryError

_QUERY = re.compile(r"\?[^\s'\"<>)\]]*=[^\s'\"<>)\]]*")
_USER = re.compile(r"(?<=://)[^/\s@'\"]+@")
_SECRET = re.compile(
    r"\b((?:x-amz-[\w-]+|sig|signature|token|access_token|api_?key|subscription-key|key)=)[^\s&'\"<>)]+", re.IGNORECASE
)
_SECRET_NAMES = re.compile(r"^(x-amz-.*|sig|signature|se|sp|sv|st|.*token.*|.*key.*|awsaccesskeyid)$", re.IGNORECASE)
_LOGGERS = (
    "odc.loader._rio",
    "odc.loader",
    "odc.stac",
    "rasterio._env",
    "rasterio._err",
    "rasterio._io",
    "rasterio.session",
    "rasterio._base",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "pystac_client.stac_api_io",
    "pystac_client.client",
    "pystac_client.item_search",
)
_CLOUD = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, and how often it is asked again."""

    attempts: int = 4
    """Times a read or request is tried before it counts as failed."""
    delay_s: float = 0.5
    """Pause before the second attempt, seconds; doubled before each one after it."""
    longest_s: float = 30.0
    """Longest pause, seconds, whatever `Retry-After` says."""
    timeout_s: float = 60.0
    """A request without an answer for so long has failed, seconds."""

    def pause(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, from 1."""
        return min(self.delay_s * 2.0 ** (attempt - 1), self.longest_s)


def without_query(address: str) -> str:
    """An address as it may be shown, logged and kept: without query, fragment, user and password."""
    if "://" not in address:
        return address.split("?", 1)[0]
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_secrets(text: object) -> str:
    """A text in which every address has lost its query, its user and password, and every loose signature its value."""
    return _SECRET.sub(r"\1…", _USER.sub("", _QUERY.sub("", str(text))))


def public_address(address: str) -> str:
    """An address that may be shown as a link, query included; empty where the query holds a signature or a key."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return ""
    secret = any(_SECRET_NAMES.match(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return "" if secret else address


def gdal_path(address: str, *, local: bool) -> str:
    """What GDAL reads an asset from.

    Args:
        address: The asset's address, absolute.
        local: Whether the catalogue itself lies on this machine; only then may its assets.

    Raises:
        ImageryError: If it is of a kind that is not read, or a file where no file may be.
    """
    scheme = urlsplit(address).scheme.lower() if "://" in address else ""
    if scheme in ("http", "https"):
        return address
    if scheme in _CLOUD:
        return _CLOUD[scheme] + address.split("://", 1)[1]
    if local and scheme in ("", "file") and not address.startswith("/vsi"):
        return address.removeprefix("file://")
    raise ImageryError(
        f"The catalogue points to {without_query(address)[:200]}, which is neither https:// nor s3://, gs:// or az://. "
        "Choose another catalogue, or download the scene and open it as files."
    )


def network_options(patience: Patience, *, s3_endpoint: str = "") -> Mapping[str, str]:
    """GDAL's options for reading windows of remote files."""
    options = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_CONNECTTIMEOUT": f"{min(patience.timeout_s, 20):g}",
        "GDAL_HTTP_TIMEOUT": f"{patience.timeout_s:g}",
        "GDAL_HTTP_MAX_RETRY": str(max(patience.attempts - 1, 0)),
        "GDAL_HTTP_RETRY_DELAY": f"{patience.delay_s:g}",
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
        "CPL_VSIL_CURL_USE_HEAD": "NO",
    }
    if s3_endpoint:
        plain = s3_endpoint.startswith("http://")
        host = s3_endpoint.removeprefix("http://").removeprefix("https://")
        options |= {"AWS_S3_ENDPOINT": host, "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_HTTPS": "NO" if plain else "YES"}
    return options


def hide_secrets_in_logs() -> None:
    """Let what the libraries log about addresses through without their queries; they know nothing of secrets."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _Veil) for each in logger.filters):
            logger.addFilter(_Veil())


class _Veil(logging.Filter):
    """Rewrites records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        record.msg, record.args = without_secrets(record.getMessage()), None
        record.exc_info = None  # its traceback quotes the addresses as they are
        return True


def cache_root() -> Path:
    """Where fetched imagery is kept: `$S2DASH_IMAGERY`, else `s2dash/imagery` in the user's cache folder."""
    named = os.environ.get("S2DASH_IMAGERY")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named).expanduser() if named else cache / "s2dash" / "imagery"
