"""Weights of Segment Anything: where they are, what a download would cost, and the network they make."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from s2dash.errors import WeightsError
from s2dash.progress import Progress, Silent

CONFIG, WEIGHTS, PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
"""What a folder of weights holds; the last may be missing."""
_COPIES = 2.2
"""Peak memory of an image in copies of one layer's attention; measured with the base size: 1.73 GB, or 2.15 copies."""
_HUB = "https://huggingface.co"
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ArithmeticError)
_UNKNOWN = "not known here; see the page of the model"


@dataclass(frozen=True)
class WeightsStatus:
    """What is known of some weights before anything is loaded or fetched."""

    name: str
    """As the person wrote it: a folder, or a name on the hub."""
    place: Literal["folder", "cache", "hub"]
    """A folder of the person's, this machine's download cache, or only the hub: then they must be downloaded."""
    folder: Path | None
    """Where the files are; None if they must be downloaded."""
    megabytes: int | None
    """Size of the weights, 10⁶ bytes; None if not known."""
    licence: str
    """Name of the licence, or that it is not known here."""
    source: str
    """Where they come from: a folder or an address."""

    @property
    def ready(self) -> bool:
        """Whether they can be used without a download."""
        return self.folder is not None

    def __str__(self) -> str:
        size = "of unknown size" if self.megabytes is None else f"{self.megabytes:,} MB"
        where = {"folder": "in your folder", "cache": "already downloaded", "hub": "to be downloaded"}[self.place]
        return f"{self.name}: {size}, {where}; licence {self.licence}; from {self.source}"


def known_weights() -> tuple[str, ...]:
    """Names of the published weights, the smallest first."""
    return tuple(_table()["weights"])


def weights_status(name: str) -> WeightsStatus:
    """Where weights are, how large, and under which licence; nothing is fetched.

    Args:
        name: A folder, or a name on the Hugging Face hub.

    Raises:
        WeightsError: If it is a folder without weights, or neither a folder nor a name the hub could know.
    """
    folder = _folder(name)
    if folder is not None:
        missing = [file for file in (CONFIG, WEIGHTS) if not (folder / file).is_file()]
        if missing:
            raise WeightsError(
                f"The folder {folder} holds no weights of Segment Anything: {' and '.join(missing)} is missing. Choose "
                f"the folder that a download of {known_weights()[0]} made, with {CONFIG} and {WEIGHTS} in it."
            )
        return WeightsStatus(name, "folder", folder, _megabytes(folder), _UNKNOWN, str(folder.resolve()))
    if not _could_be_on_hub(name):
        raise WeightsError(
            f"There is no folder {name[:200]!r}, and it is no name on the Hugging Face hub. Choose a folder with "
            f"{CONFIG} and {WEIGHTS}, or one of: {', '.join(known_weights())}."
        )
    table = _table()
    known = table["weights"].get(name)
    licence = str(table["licence"]) if known else _UNKNOWN
    source = f"{_endpoint()}/{name}"
    cached = _cached(name)
    if cached is not None:
        return WeightsStatus(name, "cache", cached, _megabytes(cached), licence, source)
    return WeightsStatus(name, "hub", None, known and int(known["megabytes"]), licence, source)


def find_weights(name: str, *, download: bool, progress: Progress | None = None) -> Path:
    """The folder with the weights, downloaded from the hub where the person allowed it.

    Args:
        name: A folder, or a name on the Hugging Face hub.
        download: Whether they may be fetched if they are not on this machine; nothing is ever fetched otherwise.
        progress: Where to report; a download that is cancelled leaves no partial file.

    Raises:
        WeightsError: If they are not here and may not or cannot be fetched.
    """
    status = weights_status(name)
    if status.folder is not None:
        return status.folder
    if not download:
        raise WeightsError(
            f"The weights {name} are not on this machine, neither in a folder of that name nor from an earlier "
            f"download. They would be downloaded once from {status.source} ({_size(status)}, "
            f"licence: {status.licence}). To allow that, set 'download' to 1 (Fetch weights); or give a folder that "
            "holds them; or choose superpixels (slic), which need none."
        )
    return _download(status, progress or Silent())


def fetch_first(name: str) -> str:
    """What to do where a comparison lacks weights, in whole sentences."""
    return (
        "A comparison fetches no weights. Fetch them once with `python -m s2dash run SCENE --out DIR --method sam "
        f"--option weights={name} --option download=1`, or on the page Clusters with 'Fetch weights' set to 1; "
        "comparisons then find them."
    )


def check_weights_here(name: str) -> None:
    """Refuse weights that a comparison would have to fetch.

    Args:
        name: A folder, or a name on the Hugging Face hub.

    Raises:
        WeightsError: If they are not on this machine.
    """
    status = weights_status(name)
    if not status.ready:
        raise WeightsError(
            f"The weights {name} are not on this machine ({_size(status)}, licence: {status.licence}). "
            f"{fetch_first(name)} Or give a folder that holds them, or choose superpixels (slic), which need none."
        )


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights in a folder, hexadecimal.

    Raises:
        WeightsError: If they cannot be read.
    """
    try:
        with (folder / WEIGHTS).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"The weights in {folder} cannot be read: {error.strerror or error}.") from error


def read_config(folder: Path) -> dict[str, Any]:
    """What the folder says about its network.

    Raises:
        WeightsError: If it cannot be read, or the network is of another kind.
    """
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG} cannot be read ({error!r}). Download the weights again.") from error
    if kind != "sam":
        raise WeightsError(
            f"The folder {folder} holds a model of the kind {kind!r}, not Segment Anything ('sam'). Choose one of: "
            f"{', '.join(known_weights())}."
        )
    return dict(config)


def peak_bytes(folder: Path) -> int:
    """Memory that the network takes at its peak, bytes: its weights, and copies of one layer's global attention.

    Raises:
        WeightsError: If the folder does not say how large the network is.
    """
    try:
        vision = read_config(folder)["vision_config"]
        tokens = (int(vision.get("image_size", 1024)) // int(vision.get("patch_size", 16))) ** 2
        attention = int(vision.get("num_attention_heads", 12)) * tokens**2 * 4
        return int((folder / WEIGHTS).stat().st_size + _COPIES * attention)
    except (OSError, KeyError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(f"{folder / CONFIG} makes no sense ({error!r}). Download the weights again.") from error


def load_network(folder: Path) -> tuple[Any, Any]:
    """The network, ready to be asked, and what prepares images for it.

    Returns:
        `transformers.SamModel` in single precision, on the processor, and `transformers.SamImageProcessorPil`.

    Raises:
        WeightsError: If the weights are damaged, incomplete or of another kind of network.
    """
    read_config(folder)
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import SamImageProcessorPil, SamModel

    try:
        with _quiet():
            answer: Any = SamModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
            network, found = answer
            side = int(network.config.vision_config.image_size)
            fixed: dict[str, Any] = {"size": {"longest_edge": side}, "pad_size": {"height": side, "width": side}}
            if (folder / PREPROCESSOR).is_file():
                prepare = SamImageProcessorPil.from_pretrained(folder, local_files_only=True, **fixed)
            else:
                prepare = SamImageProcessorPil(**fixed)
    except (*_DAMAGE, SafetensorError, StrictDataclassError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"The weights in {folder} are damaged ({first}). Download them again.") from error
    lacking = [*found["missing_keys"], *found["mismatched_keys"]]
    if lacking:  # transformers fills those with random numbers and only logs it
        raise WeightsError(
            f"The weights in {folder} lack {len(lacking)} of the network's parts, {lacking[0]!r} for one, or have them "
            "in another shape. Download them again."
        )
    return network.eval(), prepare


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files("s2dash.data").joinpath("sam.toml").read_text("utf-8"))


def _folder(name: str) -> Path | None:
    with suppress(OSError, RuntimeError):  # a name too long for the file system, or of a person who does not exist
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    return None


def _megabytes(folder: Path) -> int:
    return round((folder / WEIGHTS).stat().st_size / 1e6)


def _size(status: WeightsStatus) -> str:
    return "a file of unknown size" if status.megabytes is None else f"{status.megabytes:,} MB"


def _endpoint() -> str:
    """Address of the hub: as everywhere, a mirror can be named in HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")


def _could_be_on_hub(name: str) -> bool:
    return _HUB_NAME.fullmatch(name) is not None and "--" not in name and ".." not in name and len(name) <= 96


def _cached(name: str) -> Path | None:
    """Folder of an earlier download, without a look at the network."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(name, file) for file in (CONFIG, WEIGHTS)]
    paths = [Path(file) for file in found if isinstance(file, str)]
    return paths[0].parent if len(paths) == len(found) else None


def _download(status: WeightsStatus, progress: Progress) -> Path:
    import httpx2
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
    )

    # The hub library would ask the hub for a list of programs to recognise, and tell it which one asks.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # Its second way to download runs outside Python, where it could not be cancelled.
    constants.HF_HUB_DISABLE_XET = True

    def fetch(file: str) -> Path:
        # Asked once, first: the download itself would wait for minutes for a hub that is silent.
        address = hf_hub_url(status.name, file, endpoint=_endpoint())
        get_hf_file_metadata(address, timeout=constants.HF_HUB_ETAG_TIMEOUT, endpoint=_endpoint())
        return Path(hf_hub_download(status.name, file, endpoint=_endpoint(), tqdm_class=_reporter(progress, status)))

    progress.report(0.0, f"Asking {status.source}")
    try:
        with _quiet():
            folder = fetch(CONFIG).parent
            read_config(folder)  # before hundreds of megabytes are fetched in vain
            with suppress(RemoteEntryNotFoundError):
                fetch(PREPROCESSOR)
            return fetch(WEIGHTS).parent
    except RepositoryNotFoundError as error:
        reason = "the hub knows no such model, or it is private. Check the name"
        raise WeightsError(_not_fetched(status, reason)) from error
    except LocalEntryNotFoundError as error:  # a kind of the next one, but the hub was never reached
        raise WeightsError(_not_fetched(status, _unreached(error.__cause__ or error))) from error
    except EntryNotFoundError as error:
        reason = f"it has no {CONFIG} or no {WEIGHTS}. Check the name"
        raise WeightsError(_not_fetched(status, reason)) from error
    except (OSError, httpx2.HTTPError) as error:
        raise WeightsError(_not_fetched(status, _unreached(error))) from error


def _unreached(error: BaseException) -> str:
    """Why the hub did not give the weights, and what to do about it."""
    import httpx2
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, OfflineModeIsEnabled

    first = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, OfflineModeIsEnabled):
        return "offline mode is on. Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE, and start the program again"
    if isinstance(error, HfHubHTTPError):
        return f"the hub answered {error.response.status_code}. Try again later"
    if isinstance(error, FileMetadataError):
        return "what answers there is no hub. Check the address in HF_ENDPOINT, and the proxy"
    if isinstance(error, httpx2.TransportError):
        return f"there is no connection to it ({first}). Check the network, the proxy and HF_ENDPOINT, and try again"
    return f"{first}. Check the connection and the free space"


def _not_fetched(status: WeightsStatus, reason: str) -> str:
    return (
        f"The weights {status.name} could not be fetched from {status.source}: {reason}, or give a folder with "
        f"{CONFIG} and {WEIGHTS}; superpixels (slic) need no weights."
    )


def _reporter(progress: Progress, status: WeightsStatus) -> Any:
    """A progress bar for the hub library that reports to the person instead of drawing."""

    class Reporter:
        def __init__(self, *_: Any, total: int | None = None, initial: int = 0, **__: Any) -> None:
            self.done, self.total = initial, total

        def update(self, count: int = 1) -> None:
            self.done += count
            size = self.total or max(self.done, 1)
            progress.report(
                min(self.done / size, 1.0), f"Fetching {status.name}, {self.done / 1e6:,.0f} of {size / 1e6:,.0f} MB"
            )

        def close(self) -> None:
            """Nothing to close."""

        def __enter__(self) -> Reporter:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    return Reporter


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and warnings of the libraries from the console; their settings are put back."""
    import transformers.utils.logging

    said: Any = transformers.utils.logging
    level, bars = said.get_verbosity(), said.is_progress_bar_enabled()
    hub = logging.getLogger("huggingface_hub")
    hub_level = hub.level
    said.set_verbosity(logging.CRITICAL)
    said.disable_progress_bar()
    hub.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        said.set_verbosity(level)
        hub.setLevel(hub_level)
        if bars:
            said.enable_progress_bar()
