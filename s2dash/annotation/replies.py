"""Where answers, and before them the replies of models, are kept the moment they arrive."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from s2dash.annotation.answer import Answer
from s2dash.annotation.provider import ModelReply


class AnswerBook(Protocol):
    """Where answers are kept, so that none is ever asked for twice; safe to use from several threads.

    One that is a `ReplyBook` too keeps the replies the answers are read from, before they are read.
    """

    def find(self, *, card: str, prompt: str, model: str) -> Answer | None:
        """An earlier answer to the same question by the same model."""

    def keep(self, answer: Answer) -> None:
        """Keep an answer, new or found again, for the present run."""


@dataclass(frozen=True)
class ReplyKey:
    """What was asked: the same key is never paid for twice."""

    card: str
    """Hash of what was shown."""
    prompt: str
    """Hash of the question's text and of the form of the answer."""
    model: str
    """Provider and model."""


@runtime_checkable
class ReplyBook(Protocol):
    """Keeps replies; safe to use from several threads."""

    def find_reply(self, key: ReplyKey, ask: int) -> ModelReply | None:
        """An earlier reply to this question: `ask` is 1 for the first, 2 for the one after a fault was named."""

    def keep_reply(self, key: ReplyKey, ask: int, reply: ModelReply) -> None:
        """Keep a reply; of two to the same question the first stays."""


@runtime_checkable
class ClaimBook(Protocol):
    """Lets one process at a time ask a question, where several use the same book; safe to use from several threads."""

    def claim(self, key: ReplyKey) -> bool:
        """Whether this process may ask a question now; then others may not, until it releases it or ends."""

    def release(self, key: ReplyKey) -> None:
        """Let others ask it."""

    def renew_claims(self) -> None:
        """Say, now and then, that this process still works on what it claimed."""


@dataclass
class MemoryReplies:
    """Replies kept only as long as the program runs, where there is no workspace."""

    _replies: dict[tuple[ReplyKey, int], ModelReply] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def find_reply(self, key: ReplyKey, ask: int) -> ModelReply | None:
        """An earlier reply to this question."""
        with self._lock:
            return self._replies.get((key, ask))

    def keep_reply(self, key: ReplyKey, ask: int, reply: ModelReply) -> None:
        """Keep a reply; of two to the same question the first stays."""
        with self._lock:
            self._replies.setdefault((key, ask), reply)
