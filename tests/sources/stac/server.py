"""A STAC API on loopback: search with paging, files by range, and every fault a real one has."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import shapely

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
]


class StacServer:
    """Serves items and the files of a folder; `with StacServer(folder) as server: …`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.items: list[dict[str, Any]] = []
        self.page = 2
        self.post = True
        self.conforms = list(CONFORMS)
        self.requests: Counter[str] = Counter()
        """Requests by path without query; ranges of a file each count."""
        self.queries: list[str] = []
        self.searches: list[dict[str, Any]] = []
        self.signature = ""
        """What `sig` must be for files to be served; empty where nobody asks."""
        self.lifetime_s = 3600.0
        self.tokens = 0
        self.on_token: Callable[[], None] | None = None
        self.busy: Counter[str] = Counter()
        """Path → how many times it answers 429 with Retry-After."""
        self.cut: Counter[str] = Counter()
        """Path → how many answers break off in the middle."""
        self.gone: set[str] = set()
        """Paths that answer 404."""
        self.keys: dict[str, str] = {}
        """Access key → secret of those who may read the bucket `eodata`."""

    def __enter__(self) -> StacServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                server.answer(self, {})

            def do_POST(self) -> None:
                server.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        class Http(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """GDAL drops connections as it likes."""

        self._http = Http(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def file_requests(self) -> int:
        return sum(count for path, count in self.requests.items() if path.startswith("/files/"))

    def answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        parts = urlsplit(request.path)
        self.requests[parts.path] += 1
        self.queries.append(parts.query)
        if self.busy[parts.path] > 0:
            self.busy[parts.path] -= 1
            return _send(request, 429, b"slow down", {"Retry-After": "1"})
        if parts.path in self.gone:
            return _send(request, 404, b"not here")
        if parts.path in ("", "/"):
            return _json(request, self._root())
        if parts.path == "/search":
            return _json(request, self._search(body or _from_query(parts.query), post=bool(body)))
        if parts.path.startswith("/token/"):
            return self._token(request)
        if parts.path.startswith("/files/"):
            return self._file(request, parts)
        if parts.path.startswith("/eodata/"):
            if not self._is_signed(request, parts):
                return _send(request, 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            return self._file(request, parts)
        return _send(request, 404, b"no such path")

    def _root(self) -> dict[str, Any]:
        links = [{"rel": "self", "href": self.url}, {"rel": "root", "href": self.url}]
        methods = ["GET", "POST"] if self.post else ["GET"]
        links += [
            {"rel": "search", "href": f"{self.url}/search", "method": method, "type": "application/geo+json"}
            for method in methods
        ]
        return {
            "type": "Catalog",
            "id": "loopback",
            "description": "Simulated",
            "stac_version": "1.0.0",
            "conformsTo": self.conforms,
            "links": links,
        }

    def _search(self, wanted: dict[str, Any], *, post: bool) -> dict[str, Any]:
        self.searches.append(wanted)
        found = [item for item in self.items if _fits(item, wanted)]
        start, size = int(wanted.get("token", 0)), min(int(wanted.get("limit", 10)), self.page)
        page: dict[str, Any] = {"type": "FeatureCollection", "features": found[start : start + size], "links": []}
        if start + size < len(found):
            link: dict[str, Any] = {"rel": "next", "href": f"{self.url}/search", "method": "POST" if post else "GET"}
            if post:
                link |= {"body": {"token": start + size}, "merge": True}
            else:
                import urllib.parse

                flat = {key: value for key, value in wanted.items() if key != "token"} | {"token": start + size}
                text = {
                    key: value if isinstance(value, str) else json.dumps(value) for key, value in flat.items() if value
                }
                text["collections"] = ",".join(wanted.get("collections", []))
                link["href"] += "?" + urllib.parse.urlencode(text)
            page["links"].append(link)
        return page

    def _token(self, request: BaseHTTPRequestHandler) -> None:
        self.tokens += 1
        text = self.signature = f"secret{self.tokens}"
        if self.on_token:
            self.on_token()
        expiry = datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.lifetime_s, UTC)
        _json(request, {"msft:expiry": expiry.isoformat().replace("+00:00", "Z"), "token": f"sig={text}"})

    def _is_signed(self, request: BaseHTTPRequestHandler, parts: Any) -> bool:
        """Whether somebody who holds a key asks: AWS signature version 4, computed from its public description."""
        said = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)",
            request.headers.get("Authorization", ""),
        )
        if not said or said[1] not in self.keys:
            return False
        _, scope, names, signature = said.groups()
        canonical = [request.command, parts.path, parts.query]
        canonical += [f"{name}:{request.headers[name].strip()}" for name in names.split(";")]
        canonical += ["", names, request.headers["x-amz-content-sha256"]]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest])
        key = f"AWS4{self.keys[said[1]]}".encode()
        for step in (*scope.split("/"), text):
            key = hmac.new(key, step.encode(), hashlib.sha256).digest()
        return hmac.compare_digest(key.hex(), signature)

    def _file(self, request: BaseHTTPRequestHandler, parts: Any) -> None:
        if self.signature and parse_qs(parts.query).get("sig") != [self.signature]:
            return _send(request, 403, b"signature not valid")
        path = self.folder / parts.path.removeprefix("/files/").removeprefix("/eodata/")
        if not path.is_file():
            return _send(request, 404, b"no such file")
        content = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        head = {"Accept-Ranges": "bytes", "Content-Type": "image/tiff"}
        status = 200
        if span:
            first, last = int(span[1]), min(int(span[2] or len(content) - 1), len(content) - 1)
            if first >= len(content):
                return _send(request, 416, b"")
            head["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        if self.cut[parts.path] > 0 and len(content) > 64:
            self.cut[parts.path] -= 1
            return _send(request, status, content, head, stop_at=len(content) // 2)
        return _send(request, status, content, head)


def _fits(item: dict[str, Any], wanted: dict[str, Any]) -> bool:
    if wanted.get("collections") and item["collection"] not in wanted["collections"]:
        return False
    outline = shapely.from_geojson(json.dumps(item["geometry"]))
    if wanted.get("intersects") and not outline.intersects(shapely.from_geojson(json.dumps(wanted["intersects"]))):
        return False
    if wanted.get("bbox") and not outline.intersects(shapely.box(*wanted["bbox"])):
        return False
    if wanted.get("datetime"):
        first, last = wanted["datetime"].split("/")
        if not first <= item["properties"]["datetime"] <= last:
            return False
    for name, tests in (wanted.get("query") or {}).items():
        value = item["properties"].get(name)
        if value is None or any(value > bound for test, bound in tests.items() if test in ("lt", "lte")):
            return False
    return True


def _from_query(query: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {key: values[0] for key, values in parse_qs(query).items()}
    for key in ("intersects", "query"):
        if key in wanted:
            wanted[key] = json.loads(wanted[key])
    if "collections" in wanted:
        wanted["collections"] = wanted["collections"].split(",")
    if "bbox" in wanted:
        wanted["bbox"] = [float(side) for side in wanted["bbox"].split(",")]
    return wanted


def _json(request: BaseHTTPRequestHandler, content: dict[str, Any]) -> None:
    _send(request, 200, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    head: dict[str, str] | None = None,
    *,
    stop_at: int | None = None,
) -> None:
    request.send_response(status)
    for name, value in (head or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    try:
        request.wfile.write(content if stop_at is None else content[:stop_at])
        request.wfile.flush()
    except OSError:  # the client stopped listening
        pass
    if stop_at is not None:
        request.close_connection = True
