"""Answers and replies in one file, for commands that work without a workspace: nothing paid for is asked twice."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from dataclasses import asdict, astuple
from hashlib import sha256
from pathlib import Path
from typing import Any

from s2dash.annotation.answer import Answer
from s2dash.annotation.provider import ModelReply, Usage
from s2dash.annotation.replies import ReplyKey
from s2dash.errors import AnnotationError

ANSWERS = "S2DASH_ANSWERS"
"""Environment variable that names the file of answers, where it should not be the default one."""
_SLOTS = 256
"""Lock files: questions that share one are asked one after the other."""


def default_book() -> Path:
    """Where answers are kept by default: `$S2DASH_ANSWERS`, else `s2dash/answers.jsonl` in the user's cache folder."""
    named = os.environ.get(ANSWERS)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "s2dash" / "answers.jsonl"


class FileBook:
    """Keeps answers and replies, a line of JSON each, on the disk before anything else happens.

    Lines are only ever added, so that a crash loses none; one that was cut short is passed over. Several threads and
    processes may use the same file.

    Args:
        path: The file; made with its folders when the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._answers: dict[ReplyKey, Answer] = {}
        self._replies: dict[tuple[ReplyKey, int], ModelReply] = {}
        self._read_to = 0
        self._held: dict[ReplyKey, int] = {}
        with self._lock:
            self._catch_up()

    def find(self, *, card: str, prompt: str, model: str) -> Answer | None:
        """An earlier answer to the same question by the same model."""
        with self._lock:
            self._catch_up()
            return self._answers.get(ReplyKey(card, prompt, model))

    def keep(self, answer: Answer) -> None:
        """Keep an answer; of two to the same question the first stays."""
        key = ReplyKey(answer.card, answer.prompt, answer.model)
        with self._lock:
            if key not in self._answers:
                self._add({"kind": "answer", "key": asdict(key), "content": answer.model_dump(mode="json")})
                self._answers[key] = answer

    def find_reply(self, key: ReplyKey, ask: int) -> ModelReply | None:
        """An earlier reply to this question."""
        with self._lock:
            self._catch_up()
            return self._replies.get((key, ask))

    def keep_reply(self, key: ReplyKey, ask: int, reply: ModelReply) -> None:
        """Keep a reply; of two to the same question the first stays."""
        with self._lock:
            if (key, ask) not in self._replies:
                content = asdict(reply) | {"usage": reply.usage.model_dump(mode="json")}
                self._add({"kind": "reply", "key": asdict(key), "ask": ask, "content": content})
                self._replies[key, ask] = reply

    def claim(self, key: ReplyKey) -> bool:
        """Whether this process may ask a question now; its lock goes with the process, however that ends."""
        slot = int(sha256("/".join(astuple(key)).encode()).hexdigest(), 16) % _SLOTS
        path = self._path.resolve()  # one file has one set of locks, by whatever name it is called
        folder = path.with_name(f"{path.name}.locks")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / f"{slot:02x}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._unkept(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError as error:  # a disk that knows no locks
            os.close(handle)
            raise self._unkept(error) from error
        with self._lock:
            self._held[key] = handle
        return True

    def release(self, key: ReplyKey) -> None:
        """Let others ask a question that was claimed."""
        with self._lock:
            handle = self._held.pop(key, None)
        if handle is not None:
            os.close(handle)

    def renew_claims(self) -> None:
        """Nothing to do: the locks hold as long as the process."""

    def _add(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=True) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if file.tell() and not self._ends_with_newline():
                    file.write("\n")  # after a line that a crash cut short
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unkept(error) from error

    def _unkept(self, error: OSError) -> AnnotationError:
        return AnnotationError(
            f"Answers cannot be kept in {self._path}: {error.strerror}. Nothing is asked that could not be kept; "
            f"name another file by {ANSWERS}."
        )

    def _ends_with_newline(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _catch_up(self) -> None:
        """Read what was added since, by this process or another."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                added = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise AnnotationError(f"Earlier answers in {self._path} cannot be read: {error.strerror}.") from error
        whole = added[: added.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # a crash cut it short, or a later version wrote it

    def _take(self, row: dict[str, Any]) -> None:
        key = ReplyKey(**row["key"])
        if row["kind"] == "answer":
            self._answers.setdefault(key, Answer.model_validate(row["content"]))
        elif row["kind"] == "reply":
            content = row["content"] | {"usage": Usage.model_validate(row["content"]["usage"])}
            self._replies.setdefault((key, int(row["ask"])), ModelReply(**content))
