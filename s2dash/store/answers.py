"""Answers, kept the moment they arrive and never asked for twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from s2dash.annotation.answer import Answer
from s2dash.annotation.provider import ModelReply, Usage
from s2dash.annotation.replies import ReplyKey
from s2dash.errors import StoreError
from s2dash.export.json_values import json_value
from s2dash.store import tables
from s2dash.store.claims import Claims
from s2dash.store.part import now
from s2dash.store.replies import Replies


class Answers(Replies, Claims):
    """What annotators said, across runs."""

    def save_answer(self, run_id: str, answer: Answer) -> Answer:
        """Keep an answer for a run, new or found again.

        Of two answers to the same question by the same model the first stays.

        Returns:
            The answer that is kept, for the cluster and annotator of `answer`.

        Raises:
            StoreError: If there is no such run, or the answer has no card hash or no model.
        """
        if not answer.card or not answer.model:
            raise StoreError(
                f"The answer of {answer.annotator!r} for cluster {answer.cluster} lacks its card hash or its model, so "
                "it could never be found again. An annotator has to fill in both."
            )
        key = {"card": answer.card, "prompt": answer.prompt, "model": answer.model}
        link = {"run_id": run_id, "cluster": answer.cluster, "annotator": answer.annotator}
        content = json_value(answer.model_dump(mode="json"))
        with self._database.write() as connection:
            self._run_row(connection, run_id)
            self._database.insert(connection, tables.answers, {**key, "content": content, "saved": now()})
            row = connection.execute(_answers_by(**key)).one()
            self._database.insert(connection, tables.run_answers, {**link, "answer_id": row.id})
        return _answer(row.content, cluster=answer.cluster, annotator=answer.annotator)

    def find_answer(self, *, card: str, prompt: str, model: str, cluster: int | None = None) -> Answer | None:
        """An earlier answer to the same question by the same model, from whatever run.

        Args:
            card: Hash of the card.
            prompt: Hash of the question.
            model: Model identifier.
            cluster: Number of the cluster in the run that asks, put into the answer where given.
        """
        with self._database.read() as connection:
            row = connection.execute(_answers_by(card=card, prompt=prompt, model=model)).one_or_none()
        return None if row is None else _answer(row.content, cluster=cluster)

    def answers(self, run_id: str) -> tuple[Answer, ...]:
        """The answers of a run, in the order they were saved."""
        links = tables.run_answers
        query = (
            select(tables.answers.c.content, links.c.cluster, links.c.annotator)
            .join(links, links.c.answer_id == tables.answers.c.id)
            .where(links.c.run_id == run_id)
            .order_by(links.c.id)
        )
        with self._database.read() as connection:
            self._run_row(connection, run_id)
            rows = connection.execute(query).all()
        return tuple(_answer(row.content, cluster=row.cluster, annotator=row.annotator) for row in rows)

    def spent(self) -> Usage:
        """Tokens and dollars of every answer that the workspace holds, whatever became of the runs that asked."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.answers.c.content)).scalars().all()
        return sum((Usage.model_validate(row.get("usage") or {}) for row in rows), start=Usage())

    def answer_book(self, run_id: str) -> RunAnswers:
        """The store as `annotate` sees it while it works on a run."""
        return RunAnswers(self, run_id)


class RunAnswers:
    """The answers and replies of a workspace as `annotate` uses them for one run; safe from several threads at once."""

    def __init__(self, answers: Answers, run_id: str) -> None:
        self._answers = answers
        self._run_id = run_id

    def find(self, *, card: str, prompt: str, model: str) -> Answer | None:
        """An earlier answer to the same question by the same model, from any run."""
        return self._answers.find_answer(card=card, prompt=prompt, model=model)

    def keep(self, answer: Answer) -> None:
        """Keep an answer, new or found again, for the run."""
        self._answers.save_answer(self._run_id, answer)

    def find_reply(self, key: ReplyKey, ask: int) -> ModelReply | None:
        """An earlier reply to the same question by the same model, from any run."""
        return self._answers.find_reply(key, ask)

    def keep_reply(self, key: ReplyKey, ask: int, reply: ModelReply) -> None:
        """Keep a reply that the run received."""
        self._answers.save_reply(self._run_id, key, ask, reply)

    def claim(self, key: ReplyKey) -> bool:
        """Whether this process may ask a question now."""
        return self._answers.claim(key)

    def release(self, key: ReplyKey) -> None:
        """Let others ask a question that this process claimed."""
        self._answers.release(key)

    def renew_claims(self) -> None:
        """Say that this process still works on all it claimed."""
        self._answers.renew_claims()


def _answers_by(*, card: str, prompt: str, model: str) -> Select[Any]:
    columns = tables.answers.c
    return select(columns.id, columns.content).where(
        columns.card == card, columns.prompt == prompt, columns.model == model
    )


def _answer(content: dict[str, Any], **asked: Any) -> Answer:
    """A kept answer, for the cluster and annotator of the run that asks."""
    return Answer.model_validate(content | {name: value for name, value in asked.items() if value is not None})
