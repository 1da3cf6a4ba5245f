"""What asking will take and what leaves the machine, told before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json import dumps
from math import ceil, sqrt

from s2dash.annotation.answer import Annotator, Question
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.model_annotator import ASKS, ModelAnnotator
from s2dash.annotation.provider import ModelRequest, Usage
from s2dash.annotation.replies import AnswerBook, ReplyKey

LETTERS_A_TOKEN = 4.0
"""Characters of English text in a token, as services tell it."""
LEAST_BYTES_A_TOKEN = 2.0
"""The same for text that is mostly figures, or not English: for the upper bound."""
PICTURE_MARGIN = 1.1
"""By how much a picture may cost more than the rule of its model says: for the upper bound."""
SHORT_REPLY = 150
"""Tokens of a filled-in form without thinking: for the lower bound."""
FAULT_TOKENS = 600
"""Tokens that a second ask takes more than the first, at most: it names the fault."""


@dataclass(frozen=True)
class CallCost:
    """Tokens of one call."""

    input_tokens: int
    """Sent, as the rules of the model say."""
    most_input: int
    """Sent, at most."""
    most_output: int
    """Received, at most."""


@dataclass(frozen=True)
class ModelEstimate:
    """What asking one model will take."""

    name: str
    """How the model is chosen."""
    title: str
    """For the person."""
    host: str
    """Where its service is."""
    local: bool
    """Whether that is this machine."""
    calls: int
    """Questions that will be sent."""
    most_calls: int
    """Calls if every one has to be asked twice."""
    found: int
    """Questions answered already, which cost nothing."""
    pictures: int
    """Pictures that will be sent."""
    picture_bytes: int
    """Their size, bytes."""
    input_tokens: int
    """Tokens sent, if none is asked twice."""
    output_tokens: int
    """Tokens received, if none is asked twice and every reply is as long as it may be."""
    dollars_low: float
    """Price if none is asked twice and replies are short, US dollars."""
    dollars_high: float
    """Price if every one is asked twice and replies are as long as they may be, US dollars."""


@dataclass(frozen=True)
class Estimate:
    """What asking will take; offline annotators cost nothing and are not in it."""

    models: tuple[ModelEstimate, ...]
    """By model, in the order of the questions."""
    leaves: tuple[str, ...]
    """What leaves the machine and what does not, in sentences for the person."""

    @property
    def calls(self) -> int:
        """Questions that will be sent."""
        return sum(model.calls for model in self.models)

    @property
    def most_calls(self) -> int:
        """Calls if every question has to be asked twice."""
        return sum(model.most_calls for model in self.models)

    @property
    def found(self) -> int:
        """Questions answered already."""
        return sum(model.found for model in self.models)

    @property
    def input_tokens(self) -> int:
        """Tokens sent."""
        return sum(model.input_tokens for model in self.models)

    @property
    def output_tokens(self) -> int:
        """Tokens received, at most."""
        return sum(model.output_tokens for model in self.models)

    @property
    def dollars_low(self) -> float:
        """Price at least, US dollars."""
        return sum(model.dollars_low for model in self.models)

    @property
    def dollars_high(self) -> float:
        """Price at most, US dollars."""
        return sum(model.dollars_high for model in self.models)

    @property
    def dollars(self) -> tuple[float, float]:
        """Price at least and at most, US dollars."""
        return self.dollars_low, self.dollars_high

    @property
    def text(self) -> str:
        """Calls, tokens and price in a sentence."""
        found = f" {self.found} answers are there already and cost nothing." if self.found else ""
        if not self.calls:
            return f"Nothing has to be asked.{found}"
        price = f"${self.dollars_low:.2f} to ${self.dollars_high:.2f}" if self.dollars_high else "no price"
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        return (
            f"{calls} (at most {self.most_calls}), about {self.input_tokens:,} tokens sent and up to "
            f"{self.output_tokens:,} received: {price}.{found}"
        )


def estimate(questions: Sequence[tuple[Annotator, Question]], *, book: AnswerBook | None = None) -> Estimate:
    """What `ask_all` will take for these questions; sends nothing.

    Args:
        questions: Whom to ask what.
        book: Where earlier answers are found.

    Raises:
        AnnotationError: If a model is to be asked without anything to show.
    """
    models: dict[str, list[tuple[ModelAnnotator, Question]]] = {}
    for who, question in questions:
        if isinstance(who, ModelAnnotator):
            models.setdefault(who.name, []).append((who, question))
    found: dict[str, int] = dict.fromkeys(models, 0)
    left: dict[str, list[tuple[ModelAnnotator, Question]]] = {name: [] for name in models}
    seen: set[ReplyKey] = set()
    for name, asked in models.items():
        for who, question in asked:
            key = who.key(question)
            if key in seen or _is_there(key, book):
                found[name] += 1
            else:
                left[name].append((who, question))
            seen.add(key)
    told = tuple(_model(asked[0][0].entry, left[name], found[name]) for name, asked in models.items())
    return Estimate(told, tuple(_leaves(told, [one for asked in left.values() for one in asked])))


def call_cost(entry: ModelEntry, request: ModelRequest) -> CallCost:
    """Tokens of one call: text by its length, pictures by the rule of the model, output by its limit."""
    schema = dumps(request.schema.model_json_schema()) if request.schema else ""
    texts = (request.system, request.text, schema)
    pictures = sum(entry.tokens_of_picture(*picture_size(png)) for png in request.pictures)
    letters = sum(map(len, texts)) / LETTERS_A_TOKEN
    most = sum(len(text.encode("utf-8", "replace")) for text in texts) / LEAST_BYTES_A_TOKEN
    return CallCost(
        input_tokens=ceil(letters + pictures),
        most_input=ceil(most + PICTURE_MARGIN * pictures),
        most_output=request.max_tokens,
    )


def most_dollars(entry: ModelEntry, request: ModelRequest) -> float:
    """What one call may cost at most, US dollars."""
    cost = call_cost(entry, request)
    return entry.price(Usage(input_tokens=cost.most_input, output_tokens=cost.most_output)).dollars


def picture_size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, px, from its header.

    Raises:
        ValueError: If it is no PNG.
    """
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise ValueError("a picture of an exhibit is no PNG")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def _is_there(key: ReplyKey, book: AnswerBook | None) -> bool:
    return book is not None and book.find(card=key.card, prompt=key.prompt, model=key.model) is not None


def _model(entry: ModelEntry, asked: Sequence[tuple[ModelAnnotator, Question]], found: int) -> ModelEstimate:
    requests = [who.request(question) for who, question in asked]
    costs = [call_cost(entry, request) for request in requests]
    sent, received = sum(cost.input_tokens for cost in costs), sum(cost.most_output for cost in costs)
    most_sent = sum(ASKS * cost.most_input + (ASKS - 1) * FAULT_TOKENS for cost in costs)
    short = min(SHORT_REPLY, entry.max_tokens) * len(costs)
    return ModelEstimate(
        name=entry.name,
        title=entry.title,
        host=entry.host,
        local=entry.local,
        calls=len(costs),
        most_calls=ASKS * len(costs),
        found=found,
        pictures=sum(len(request.pictures) for request in requests),
        picture_bytes=sum(len(png) for request in requests for png in request.pictures),
        input_tokens=sent,
        output_tokens=received,
        dollars_low=entry.price(Usage(input_tokens=sent, output_tokens=short)).dollars,
        dollars_high=entry.price(Usage(input_tokens=most_sent, output_tokens=ASKS * received)).dollars,
    )


def _leaves(models: Iterable[ModelEstimate], asked: Sequence[tuple[ModelAnnotator, Question]]) -> list[str]:
    """What leaves the machine, in sentences."""
    active = [model for model in models if model.calls]
    away = [model for model in active if not model.local]
    here = [f"{model.title} runs on this machine ({model.host}): nothing leaves it." for model in active if model.local]
    if not away:
        return here or ["Nothing is sent, and nothing leaves this machine."]
    lines = [
        f"To {model.host} ({model.title}): {model.calls} {'question' if model.calls == 1 else 'questions'} with "
        f"{model.pictures} {'picture' if model.pictures == 1 else 'pictures'}, {_size(model.picture_bytes)} in all."
        for model in away
    ]
    questions = [question for who, question in asked if not who.entry.local]
    lines.append(_contents(questions))
    lines.append(
        "Not sent: coordinates, the names of projects, runs and files, what people decided, and other services' keys; "
        "a service gets its own key, to know who pays. Whoever knows the place may know it again in the pictures."
    )
    return lines + here


def _contents(questions: Sequence[Question]) -> str:
    """What the questions hold, looked up in them."""
    exhibits = [question.exhibit for question in questions if question.exhibit is not None]
    said = " ".join(exhibit.words for exhibit in exhibits)
    told: list[str] = []
    if any(exhibit.pictures for exhibit in exhibits):
        told.append(f"satellite pictures of the area ({_ground(questions)}) with their extent and a scale")
    if said:
        told.append("measured figures of each cluster, such as its area, patches and mean reflectance")
    if "latitude" in said:
        told.append("the latitude in whole degrees")
    if "taken in" in said:
        told.append("the month and season of the image")
    titles = dict.fromkeys(question.scheme.title for question in questions)
    told.append(f"the class list {', '.join(titles)} with its definitions")
    if any(question.earlier for question in questions):
        told.append("what was said of the clusters in the round before")
    return f"They hold {', '.join(told[:-1])} and {told[-1]}." if len(told) > 1 else f"They hold {told[0]}."


def _ground(questions: Sequence[Question]) -> str:
    """Size of the ground in the pictures, from the figures of the clusters."""
    card = max((question.card for question in questions), key=lambda card: card.pixels)
    if not (card.pixels > 0 and card.area_ha > 0 and card.share > 0):
        return "of unknown size"
    metres = sqrt(card.area_ha * 1e4 / card.pixels)
    return f"up to {card.area_ha / card.share / 100:.3g} km² with usable data, {metres:.3g} m a pixel"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{ceil(count / 1e3)} kB"
