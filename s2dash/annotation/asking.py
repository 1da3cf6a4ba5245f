"""Every question to every annotator at once, never one of them twice, and never for more than the person allows."""

from __future__ import annotations

import logging
import math
import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from s2dash.annotation.answer import Annotator, Answer, Question
from s2dash.annotation.flights import FLIGHTS
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.patience import Patience, RealTimer, Timer
from s2dash.annotation.provider import ModelReply, ModelRequest, Usage
from s2dash.annotation.purse import Purse
from s2dash.annotation.replies import AnswerBook, MemoryReplies, ReplyBook, ReplyKey
from s2dash.annotation.service_line import NoMoreCalls, ServiceLine
from s2dash.annotation.turns import Turns
from s2dash.errors import AnnotationError, BudgetError, Cancelled, ProviderError
from s2dash.progress import Progress, Silent

__all__ = ["AnswerBook", "Asked", "ask_all", "question_key"]

logger = logging.getLogger(__name__)

_LOOK_S = 0.1
"""Seconds between two looks at whether the person stopped."""


@dataclass(frozen=True)
class Asked:
    """What came of asking."""

    answers: tuple[Answer, ...]
    """In the order of the questions; those without an answer are missing."""
    failures: Mapping[str, str]
    """Why questions have no answer, by the annotator's name."""
    usage: Usage
    """What was used and paid now; answers found again cost nothing."""
    called: int
    """Replies that models gave now."""
    found: int
    """Answers that were there already, or that another asking at the same time brought."""
    stopped: str = ""
    """Where the budget ended the asking: a sentence with the numbers; empty where it did not."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of it: who could not answer and why, and whether the budget ended it."""
        failed = (f"{who} could not answer everything: {why}" for who, why in self.failures.items())
        return (*failed, self.stopped) if self.stopped else tuple(failed)


@dataclass(frozen=True)
class _Task:
    place: int
    who: Annotator
    question: Question
    key: ReplyKey


@dataclass
class _Queue:
    """What one service is still to be asked."""

    line: ServiceLine
    limit: int
    tasks: deque[_Task] = field(default_factory=deque)
    names: set[str] = field(default_factory=set)


def ask_all(
    questions: Sequence[tuple[Annotator, Question]],
    *,
    book: AnswerBook | None = None,
    budget_dollars: float | None = None,
    patience: Patience | None = None,
    timer: Timer | None = None,
    rng: random.Random | None = None,
    progress: Progress | None = None,
) -> Asked:
    """Ask every question, models at once with a limit per service, the others straight away.

    Every reply and every answer is kept in the book the moment it arrives, also one that arrives after the person
    stopped; a question whose answer is there, or under way in this process, is not asked.

    Args:
        questions: Whom to ask what.
        book: Where earlier answers are found and new ones kept; best one that keeps replies too.
        budget_dollars: Most that may be spent now, US dollars. What a call may cost at most is set aside before it.
        patience: When to try a service again and when to give it up.
        timer: Time, for tests.
        rng: Chance in the pauses before a call is tried again.
        progress: Where to report; looked at every 0.1 s, also while every service hangs.

    Raises:
        BudgetError: If the budget is no amount of money.
        Cancelled: If the person stopped it.
        StoreError: If the book cannot keep what arrives; then nothing more is asked.
    """
    if budget_dollars is not None and not (math.isfinite(budget_dollars) and budget_dollars >= 0):
        raise BudgetError(f"A budget of {budget_dollars} dollars is no amount of money. Give a number from 0 up.")
    asking = _Asking(
        book=book,
        purse=Purse(budget_dollars),
        patience=patience or Patience(),
        timer=timer or RealTimer(),
        rng=rng or random.Random(),
        progress=progress or Silent(),
    )
    return asking.run(questions)


def question_key(who: Annotator, question: Question) -> ReplyKey:
    """Under what the answer of an annotator to a question is kept."""
    looks = getattr(who, "looks", False)
    card = question.fingerprint if looks else question.card.fingerprint
    return ReplyKey(card, who.prompt_fingerprint(question), who.model)


class _Asking:
    """One `ask_all`."""

    def __init__(
        self,
        *,
        book: AnswerBook | None,
        purse: Purse,
        patience: Patience,
        timer: Timer,
        rng: random.Random,
        progress: Progress,
    ) -> None:
        self._book = book
        self._replies: ReplyBook = book if isinstance(book, ReplyBook) else MemoryReplies()
        self._purse = purse
        self._patience = patience
        self._timer = timer
        self._rng = rng
        self._progress = progress
        self._stop = threading.Event()
        self._turns = Turns(book, timer=timer, stop=self._stop)
        self._changed = threading.Condition()
        # Everything below is guarded by the condition.
        self._answers: dict[int, Answer] = {}
        self._asked: dict[str, int] = {}
        self._titles: dict[str, str] = {}
        self._over: Counter[str] = Counter()
        self._faults: dict[str, list[str]] = {}
        self._lost: dict[str, str] = {}
        self._too_dear: list[str] = []
        self._usage = Usage()
        self._called = self._found = self._open = 0
        self._crash: BaseException | None = None
        self._queues: dict[tuple[str, str], _Queue] = {}

    def run(self, questions: Sequence[tuple[Annotator, Question]]) -> Asked:
        for who, _ in questions:
            self._asked[who.name] = self._asked.get(who.name, 0) + 1
            self._titles[who.name] = who.entry.title if isinstance(who, ModelAnnotator) else who.name
        threads: list[threading.Thread] = []
        try:
            # Services first: while they work, there is time for the others.
            remote, local = self._sort(self._look_up(questions))
            threads = self._start(remote)
            for task in local:
                self._ask_local(task)
                self._report()
            self._watch()
        except BaseException as error:
            self._stop.set()
            if isinstance(error, Cancelled):
                self._await_landing()
            raise
        for thread in threads:
            thread.join()
        return self._outcome(questions)

    # ---- before any call

    def _look_up(self, questions: Iterable[tuple[Annotator, Question]]) -> list[_Task]:
        """Take the answers that are there; what is left to ask."""
        left: list[_Task] = []
        for place, (who, question) in enumerate(questions):
            self._report()
            try:
                task = _Task(place, who, question, question_key(who, question))
            except AnnotationError as error:
                self._fail(who, str(error))
                self._end(who)
                continue
            found = self._find(task)
            if found is None:
                left.append(task)
            else:
                self._take(task, found, found=True)
                self._end(who)
        return left

    def _sort(self, tasks: Iterable[_Task]) -> tuple[list[_Queue], list[_Task]]:
        local: list[_Task] = []
        for task in tasks:
            if not isinstance(task.who, ModelAnnotator):
                local.append(task)
                continue
            entry = task.who.entry
            queue = self._queues.get((entry.provider, entry.address or ""))
            if queue is None:
                line = ServiceLine(
                    patience=self._patience,
                    timer=self._timer,
                    chance=self._rng.random,
                    purse=self._purse,
                    stop=self._stop,
                )
                queue = self._queues[entry.provider, entry.address or ""] = _Queue(line, entry.limit)
            queue.limit = min(queue.limit, entry.limit)
            queue.tasks.append(task)
            queue.names.add(task.who.name)
        return list(self._queues.values()), local

    def _start(self, queues: Sequence[_Queue]) -> list[threading.Thread]:
        self._open = sum(len(queue.tasks) for queue in queues)
        threads = [
            # Daemons: a hanging service must not keep the program from ending.
            threading.Thread(target=self._work, args=(queue,), name="s2dash-asking", daemon=True)
            for queue in queues
            for _ in range(min(queue.limit, len(queue.tasks)))
        ]
        for thread in threads:
            thread.start()
        return threads

    # ---- asking

    def _ask_local(self, task: _Task) -> None:
        try:
            if task.who.name not in self._lost:
                self._take(task, task.who.answer(task.question), found=False)
        except AnnotationError as error:
            self._lose(task.who, str(error))
        finally:
            self._end(task.who)

    def _work(self, queue: _Queue) -> None:
        """What each thread does: one question after the other."""
        while True:
            with self._changed:
                if not queue.tasks:
                    return
                task = queue.tasks.popleft()
            try:
                self._ask(task, queue.line)
            except BaseException as error:
                if self._stop.is_set():
                    logger.warning("A reply came after the end and could not be kept: %s", type(error).__name__)
                with self._changed:
                    self._crash = self._crash or error
                self._stop.set()
            finally:
                self._end(task.who, remote=True)

    def _ask(self, task: _Task, line: ServiceLine) -> None:
        """Ask a model, or wait for who asks it the same already."""
        flight, mine = FLIGHTS.board(task.key)
        while not mine:
            while not flight.landed.wait(_LOOK_S):
                if self._stop.is_set():
                    return
            if flight.answer is not None:
                self._take(task, flight.answer, found=True)
                return
            flight, mine = FLIGHTS.board(task.key)
        answer: Answer | None = None
        ours = False
        try:
            ours = self._turns.take(task.key, who=task.who.name, answered=lambda: self._find(task) is not None)
            if self._stop.is_set() or task.who.name in self._lost or line.given_up:
                return
            answer = self._find(task)  # another asking may have brought it since the first look
            found = answer is not None
            if answer is None:
                answer = self._converse(task, line)
            self._take(task, answer, found=found)
        except NoMoreCalls:
            pass
        except BudgetError as error:
            with self._changed:
                self._too_dear.append(str(error))
        except ProviderError as error:
            self._lose(task.who, str(error)) if error.fatal else self._fail(task.who, str(error))
        except AnnotationError as error:
            self._fail(task.who, str(error))
        finally:
            try:
                if ours:
                    self._turns.give_back(task.key)
            finally:
                FLIGHTS.land(flight, answer)

    def _converse(self, task: _Task, line: ServiceLine) -> Answer:
        who = task.who
        assert isinstance(who, ModelAnnotator)

        def call(request: ModelRequest) -> ModelReply:
            reply = line.call(who, request)
            with self._changed:
                self._called += 1
                self._usage += reply.usage
            return reply

        return who.converse(task.question, call=call, replies=self._replies)

    # ---- what came of it

    def _find(self, task: _Task) -> Answer | None:
        key = task.key
        return None if self._book is None else self._book.find(card=key.card, prompt=key.prompt, model=key.model)

    def _take(self, task: _Task, answer: Answer, *, found: bool) -> None:
        answer = answer.model_copy(update={"cluster": task.question.card.cluster, "annotator": task.who.name})
        if self._book is not None:
            self._book.keep(answer)
        with self._changed:
            self._answers[task.place] = answer
            self._found += found

    def _fail(self, who: Annotator, why: str) -> None:
        with self._changed:
            self._faults.setdefault(who.name, []).append(why)

    def _lose(self, who: Annotator, why: str) -> None:
        """Give an annotator up."""
        with self._changed:
            self._lost.setdefault(who.name, why)

    def _end(self, who: Annotator, *, remote: bool = False) -> None:
        with self._changed:
            self._over[who.name] += 1
            self._open -= remote
            self._changed.notify_all()

    # ---- watching

    def _watch(self) -> None:
        while True:
            self._report()
            self._turns.renew()
            with self._changed:
                if self._crash is not None:
                    raise self._crash
                if not self._open:
                    break
                self._changed.wait(_LOOK_S)
        self._report()

    def _await_landing(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._open, self._patience.grace_s)

    def _report(self) -> None:
        held = {name: queue.line.held_s for queue in self._queues.values() for name in queue.names}
        with self._changed:
            share = sum(self._over.values()) / max(sum(self._asked.values()), 1)
            text = ", ".join(self._standing(name, held.get(name, 0.0)) for name in self._asked)
        self._progress.report(share, text or "Nobody is asked")

    def _standing(self, name: str, held_s: float) -> str:
        text = f"{self._titles[name]} {self._over[name]} of {self._asked[name]}"
        if name in self._lost:
            return f"{text} (given up)"
        if elsewhere := self._turns.waiting(name):
            return f"{text} ({elsewhere} being asked by another program)"
        return f"{text} (it asks to wait {held_s:.0f} s)" if held_s >= 1 else text

    def _outcome(self, questions: Sequence[tuple[Annotator, Question]]) -> Asked:
        answered = Counter(questions[place][0].name for place in self._answers)
        failures: dict[str, str] = {}
        given_up = {name: queue.line.given_up for queue in self._queues.values() for name in queue.names}
        for name in self._asked:
            missing = self._asked[name] - answered[name]
            why = self._lost.get(name) or given_up.get(name) or next(reversed(self._faults.get(name, [])), "")
            if missing and why:
                failures[name] = f"{missing} of {self._asked[name]} questions have no answer. {why}"
        return Asked(
            answers=tuple(self._answers[place] for place in sorted(self._answers)),
            failures=failures,
            usage=self._usage,
            called=self._called,
            found=self._found,
            stopped=self._purse.ended(self._too_dear, of=sum(self._asked.values())),
        )
