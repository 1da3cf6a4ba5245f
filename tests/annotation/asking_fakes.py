"""What tests of asking share: questions, catalogue entries, services without a network, a clock that does not wait."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from s2dash.annotation.answer import Answer, ClusterCard, Question
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.exhibit import Exhibit, ExhibitPicture
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.provider import ModelReply, ModelRequest, Stop, Usage
from s2dash.annotation.replies import MemoryReplies
from s2dash.schemes import load_scheme

SCHEME = load_scheme("worldcover")
Said = str | Exception | ModelReply
"""What a fake service does with a call."""


def png(width: int = 64, height: int = 48, *, grey: int = 90) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (grey, grey, grey)).save(written, "PNG")
    return written.getvalue()


def question(cluster: int = 1, **changes: Any) -> Question:
    card = ClusterCard(cluster, 1000 + cluster, 10.0 + cluster / 100, 0.1, {"B04": 0.1}, {"B04": 0.01}, {"NDVI": 0.2})
    pictures = (
        ExhibitPicture("scene", "True-colour picture of the whole scene, 1 km x 1 km.", png()),
        ExhibitPicture("cluster", "The same, all but the target faded.", png(grey=cluster % 250)),
    )
    exhibit = Exhibit(cluster, "numbers@1", pictures, f"Area: {10 + cluster} ha; latitude about 50° north.")
    return Question(**{"card": card, "scheme": SCHEME, "exhibit": exhibit} | changes)


def entry(name: str = "claude", **changes: Any) -> ModelEntry:
    fields = {
        "name": name,
        "title": name.title(),
        "provider": "claude",
        "model": f"{name}-1",
        "address": f"https://{name}.example.org",
        "key_name": "SOME_API_KEY",
        "input_price": 3.0,
        "output_price": 15.0,
        "limit": 2,
        "max_tokens": 500,
        "picture_tokens": {"rule": "patches", "side": 28, "most": 1568},
    }
    return ModelEntry.model_validate(fields | changes)


def form(land_cover: str = "cropland", **changes: Any) -> str:
    fields = {
        "land_cover": land_cover,
        "second_choice": None,
        "term": "fields",
        "confidence": 0.8,
        "evidence": ["straight borders"],
        "mixed": False,
    }
    return json.dumps(fields | changes)


def reply(text: str, *, tokens: tuple[int, int] = (1000, 100), stop: Stop = "end") -> ModelReply:
    return ModelReply(text, Usage(input_tokens=tokens[0], output_tokens=tokens[1]), "served-1", stop)


class FakeService:
    """A provider that says what it is told to, counts, and remembers."""

    def __init__(
        self,
        script: Sequence[Said] | Callable[[ModelRequest], Said] = (),
        *,
        otherwise: Said | None = None,
        gate: threading.Event | None = None,
        latency_s: float = 0.0,
    ) -> None:
        self._script = script
        self._otherwise = form() if otherwise is None else otherwise
        self._gate = gate
        self._latency_s = latency_s
        self._lock = threading.Lock()
        self._open = 0
        self.calls: list[ModelRequest] = []
        self.most_at_once = 0
        self.closed_during_call: bool | None = None

    def ask(self, request: ModelRequest) -> ModelReply:
        with self._lock:
            number = len(self.calls)
            self.calls.append(request)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        try:
            if self._gate is not None:
                assert self._gate.wait(20)
            time.sleep(self._latency_s)
            if callable(self._script):
                said = self._script(request)
            else:
                said = self._script[number] if number < len(self._script) else self._otherwise
            if isinstance(said, Exception):
                raise said
            return said if isinstance(said, ModelReply) else reply(said)
        finally:
            with self._lock:
                self._open -= 1

    def close(self) -> None:
        with self._lock:
            self.closed_during_call = self._open > 0

    def wait_for(self, calls: int, *, timeout_s: float = 10.0) -> None:
        until = time.monotonic() + timeout_s
        while len(self.calls) < calls:
            assert time.monotonic() < until, f"only {len(self.calls)} of {calls} calls came"
            time.sleep(0.005)


class FakeTimer:
    """A clock that jumps instead of waiting."""

    def __init__(self) -> None:
        self._now = 100.0
        self._lock = threading.Lock()
        self.waits: list[float] = []

    def now(self) -> float:
        with self._lock:
            return self._now

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        with self._lock:
            self.waits.append(seconds)
            self._now += seconds
        return stop.is_set()


class MemoryBook(MemoryReplies):
    """An answer book in memory that notes in which order things were kept."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[tuple[str, str, str], Answer] = {}
        self.of_run: list[Answer] = []
        self.kept: list[str] = []

    def find(self, *, card: str, prompt: str, model: str) -> Answer | None:
        with self._lock:
            return self._answers.get((card, prompt, model))

    def keep(self, answer: Answer) -> None:
        with self._lock:
            self._answers.setdefault((answer.card, answer.prompt, answer.model), answer)
            self.of_run.append(answer)
            self.kept.append(f"answer {answer.cluster}")

    def keep_reply(self, key: Any, ask: int, said: ModelReply) -> None:
        super().keep_reply(key, ask, said)
        with self._lock:
            self.kept.append(f"reply {ask}")


def model(service: Any, name: str = "claude", **changes: Any) -> ModelAnnotator:
    return ModelAnnotator(entry(name, **changes), service)
