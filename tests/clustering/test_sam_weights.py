"""Weights that cannot be fetched: why, and what to do, within seconds; the download itself is in `test_sam`."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from loopback import Loopback, QuietHandler

from s2dash.clustering.sam_weights import CONFIG, check_weights_here, find_weights, known_weights
from s2dash.errors import WeightsError

NAME = "somebody/sam-tiny"
ABSENT = "it has no config.json"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """A download cache of the test's own, and settings of the hub library as they were."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET"):
        monkeypatch.setattr(constants, name, getattr(constants, name))


@pytest.fixture
def listening(monkeypatch) -> Iterator[socket.socket]:
    """The endpoint is a port of this machine where somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server


class Answering(Loopback):
    """A server that gives one answer to everything."""

    def __init__(self, status: int) -> None:
        self.asked: list[str] = []
        served = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                served.asked.append(self.command)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = answer  # noqa: N815

        super().__init__(Handler)


def refusal(name: str = NAME) -> str:
    with pytest.raises(WeightsError, match="could not be fetched") as caught:
        find_weights(name, download=True)
    said = str(caught.value)
    assert ABSENT not in said
    assert "or give a folder with config.json and model.safetensors" in said
    return said


def test_offline_mode_is_called_by_its_name(monkeypatch, listening):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "offline mode is on. Unset HF_HUB_OFFLINE" in refusal()


def test_a_hub_that_refuses_connections_is_said_at_once(listening):
    listening.close()
    began = time.monotonic()
    assert "no connection to it (" in (said := refusal())
    assert "Connection refused). Check the network" in said
    assert time.monotonic() - began < 10  # the library's own attempts take 23 s


def test_a_hub_that_is_silent_is_asked_once_and_not_for_long(listening, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.3)
    began = time.monotonic()
    assert "no connection to it (timed out)" in refusal()
    assert time.monotonic() - began < 10
    listening.settimeout(0.2)
    listening.accept()[0].close()
    with pytest.raises(TimeoutError):  # nobody else waits
        listening.accept()


def test_a_connection_that_breaks_after_the_first_look_is_no_missing_file(listening, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *a, **k: None)
    monkeypatch.setattr("huggingface_hub.file_download._ETAG_RETRY_TIMEOUT", 0.1)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    listening.close()
    assert "Connection refused). Check the network" in refusal()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "offline mode is on" in refusal()


@pytest.mark.parametrize(
    ("status", "said"),
    [(503, "the hub answered 503. Try again later"), (429, "answered 429"), (200, "what answers there is no hub")],
)
def test_what_answers_otherwise_is_told_apart(monkeypatch, status, said):
    server = Answering(status)
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    try:
        assert said in refusal()
    finally:
        server.close()
    assert set(server.asked) == {"HEAD"}


def test_a_comparison_is_told_to_fetch_with_a_run(tmp_path):
    with pytest.raises(WeightsError, match=r"375 MB, licence: Apache-2.0.*fetches no weights") as caught:
        check_weights_here(known_weights()[0])
    assert f"run SCENE --out DIR --method sam --option weights={known_weights()[0]} --option download=1`" in str(
        caught.value
    )
    assert "set 'download' to 1" not in str(caught.value)
    for file in (CONFIG, "model.safetensors"):
        (tmp_path / file).touch()
    check_weights_here(str(tmp_path))
