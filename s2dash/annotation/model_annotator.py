"""A vision-language model as an annotator: asks, reads, and where the reply cannot be used asks once more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from json import dumps

from s2dash.annotation.answer import Answer, Question
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.form import form_model, form_schema
from s2dash.annotation.keys import Keys
from s2dash.annotation.provider import ModelReply, ModelRequest, Provider, Usage
from s2dash.annotation.question_text import QuestionText, question_text
from s2dash.annotation.reading import read_reply, tidy
from s2dash.annotation.replies import MemoryReplies, ReplyBook, ReplyKey
from s2dash.errors import AnnotationError

LONGEST_FAULT = 500
"""Characters of a fault that are told to the model."""
ASKS = 2
"""Times a question is asked at most: once, and once more with the fault of the first reply named."""

Call = Callable[[ModelRequest], ModelReply]
"""Makes one call, however often that has to be tried."""


class ModelAnnotator:
    """Names clusters by showing them to a model; safe to use from several threads.

    Args:
        entry: Which model, and how to ask it.
        provider: The service.
        synonyms: More words → class code, for reading replies; they change nothing of what is asked.
        keys: What must never be kept of a reply, should a service repeat it.
    """

    looks = True
    """It is shown pictures and words, not just the figures of the card."""

    def __init__(
        self,
        entry: ModelEntry,
        provider: Provider,
        *,
        synonyms: Mapping[str, int] | None = None,
        keys: Keys | None = None,
    ) -> None:
        self.entry = entry
        self._provider = provider
        self._synonyms = dict(synonyms or {})
        self._keys = keys
        self._lock = threading.Lock()
        self._open_calls = 0
        self._closing = False

    @property
    def name(self) -> str:
        """How it is chosen and shown."""
        return self.entry.name

    @property
    def model(self) -> str:
        """Provider and model; part of the key under which answers and replies are kept."""
        return f"{self.entry.provider}/{self.entry.model}"

    def prompt_fingerprint(self, question: Question) -> str:
        """Hash of all it would be told besides the pictures: the text, the form, and how the model is asked.

        What does not change a good answer is no part of it: prices, limits, and how long the reply may be.
        """
        return self._fingerprint(question, question_text(question))

    def key(self, question: Question) -> ReplyKey:
        """Under what its replies to a question are kept."""
        return ReplyKey(question.fingerprint, self.prompt_fingerprint(question), self.model)

    def request(self, question: Question, *, fault: str = "") -> ModelRequest:
        """The call that asks a question.

        Args:
            question: What to ask; it has to have an exhibit.
            fault: What was wrong with the reply before, where it is asked again.

        Raises:
            AnnotationError: If there is nothing to show.
        """
        return self._request(question, question_text(question), fault=fault)

    def answer(self, question: Question) -> Answer:
        """Name one cluster, trying each call once; `ask_all` tries again and keeps the replies.

        Raises:
            AnnotationError: If no reply came, or there is nothing to show.
        """
        return self.converse(question, call=self.call, replies=MemoryReplies())

    def call(self, request: ModelRequest) -> ModelReply:
        """Make one call, once, with its price.

        Raises:
            ProviderError: If no reply came.
        """
        with self._in_flight():
            reply = self._provider.ask(request)
        usage = self.entry.price(reply.usage)
        return ModelReply(reply.text, usage, reply.model, reply.stop)

    def converse(self, question: Question, *, call: Call, replies: ReplyBook) -> Answer:
        """Name one cluster; a reply that is kept already is read, not asked for.

        Args:
            question: What to ask.
            call: Makes a call; what it raises goes through.
            replies: Where every reply is kept before it is read.

        Returns:
            The answer; with a fault and no code where neither reply could be used.
        """
        text = question_text(question)
        key = ReplyKey(question.fingerprint, self._fingerprint(question, text), self.model)
        usage, compliant, fault = Usage(), False, ""
        for ask in range(1, ASKS + 1):
            kept = replies.find_reply(key, ask)
            reply = kept or self._clean(call(self._request(question, text, fault=fault)))
            if kept is None:
                replies.keep_reply(key, ask, reply)
            usage += reply.usage
            reading = read_reply(reply.text, question.scheme, synonyms=self._synonyms, stop=reply.stop)
            compliant = reading.compliant if ask == 1 else compliant
            fault = reading.fault
            if not fault:
                break
        return Answer(
            annotator=self.name,
            cluster=question.card.cluster,
            code=reading.code,
            second=reading.second,
            term=reading.term,
            confidence=reading.confidence,
            evidence=reading.evidence,
            mixed=reading.mixed,
            raw=reply.text,
            card=key.card,
            prompt=key.prompt,
            model=key.model,
            listed=text.listed,
            style=question.exhibit.style if question.exhibit else "",
            round=question.round,
            asks=ask,
            compliant=compliant,
            fault=fault,
            usage=usage,
        )

    def close(self) -> None:
        """Give connections back, as soon as no reply is under way: one that is paid for is waited for."""
        with self._lock:
            self._closing = True
            idle = self._open_calls == 0
        if idle:
            self._provider.close()

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        with self._lock:
            self._open_calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._open_calls -= 1
                last = self._closing and self._open_calls == 0
            if last:
                self._provider.close()

    def _request(self, question: Question, text: QuestionText, *, fault: str) -> ModelRequest:
        if question.exhibit is None:
            raise AnnotationError(
                f"{self.entry.title} was asked about cluster {question.card.cluster} without anything to show. Build "
                "the exhibits of the clusters first, and put them into the questions."
            )
        told = fault[:LONGEST_FAULT]
        again = f"\n\nYou were asked this before, and your reply could not be used. {told} Look again and answer anew."
        return ModelRequest(
            model=self.entry.model,
            system=text.system,
            text=text.text + (again if fault else ""),
            pictures=tuple(picture.png for picture in question.exhibit.pictures),
            schema=form_model(question.scheme),
            max_tokens=self.entry.max_tokens,
            timeout_s=self.entry.timeout_s,
        )

    def _fingerprint(self, question: Question, text: QuestionText) -> str:
        asked = [text.fingerprint, form_schema(question.scheme), self.entry.max_side_px, self.entry.effort]
        # An answer is kept with its code, and another run may have added the same class under another one.
        asked += [[cls.key, cls.code] for cls in question.scheme.classes if cls.added]
        return sha256(dumps(asked, sort_keys=True).encode()).hexdigest()

    def _clean(self, reply: ModelReply) -> ModelReply:
        """The reply as it is kept and read: no key, no half characters, no ten megabytes."""
        if self._keys is None:
            return tidy(reply, reply.text)
        told = ModelReply(reply.text, reply.usage, self._keys.redact(reply.model), reply.stop)
        return tidy(told, self._keys.redact(reply.text))
