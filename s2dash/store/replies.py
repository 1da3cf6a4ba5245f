"""What models wrote, word for word, kept the moment it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select

from s2dash.annotation.provider import ModelReply, Usage
from s2dash.annotation.replies import ReplyKey
from s2dash.store import tables
from s2dash.store.part import StorePart, clean, now
from s2dash.store.secrecy import redact


@dataclass(frozen=True)
class ReplyRecord:
    """A reply as it is kept, for inspection."""

    key: ReplyKey
    """What was asked."""
    ask: int
    """1 for the first time of asking, 2 for the one after a fault was named."""
    reply: ModelReply
    """What came back; its text is data: escape it wherever shown."""
    saved: datetime
    """When it arrived, aware UTC."""
    cluster: int | None
    """Cluster of the run it is about; None for a reply that has not led to an answer yet."""
    annotator: str
    """Who was asked, as the run calls it; empty for a reply that has not led to an answer yet."""


class Replies(StorePart):
    """The replies of models, across runs."""

    def save_reply(self, run_id: str, key: ReplyKey, ask: int, reply: ModelReply) -> ModelReply:
        """Keep a reply that a run received.

        Of two replies to the same question the first stays. It was paid for, so it is kept even where the run was
        deleted meanwhile. Passwords and signatures in addresses are left out; keys the caller takes out, who knows
        them.

        Returns:
            The reply that is kept.
        """
        run_exists = select(tables.runs.c.id).where(tables.runs.c.id == run_id)
        row = {
            **_columns(key, ask),
            "text": clean(redact(reply.text)),
            "usage": reply.usage.model_dump(mode="json"),
            "stop": reply.stop,
            "served": clean(redact(reply.model)),
            "saved": now(),
        }
        with self._database.write() as connection:
            row["run_id"] = connection.execute(run_exists).scalar_one_or_none()
            self._database.insert(connection, tables.replies, row)
            return _reply(connection.execute(select(tables.replies).where(_is(key, ask))).one())

    def find_reply(self, key: ReplyKey, ask: int) -> ModelReply | None:
        """An earlier reply to the same question by the same model, from whatever run."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.replies).where(_is(key, ask))).one_or_none()
        return None if row is None else _reply(row)

    def replies(self, run_id: str) -> tuple[ReplyRecord, ...]:
        """The replies a run received or that its answers were read from, in the order they arrived."""
        kept, answers, links = tables.replies.c, tables.answers.c, tables.run_answers.c
        of_run = (
            select(answers.card, answers.prompt, answers.model, links.cluster, links.annotator)
            .join(tables.run_answers, links.answer_id == answers.id)
            .where(links.run_id == run_id)
            .subquery()
        )
        same = and_(kept.card == of_run.c.card, kept.prompt == of_run.c.prompt, kept.model == of_run.c.model)
        query = (
            select(tables.replies, of_run.c.cluster, of_run.c.annotator)
            .join(of_run, same, isouter=True)
            .where(or_(kept.run_id == run_id, of_run.c.cluster.is_not(None)))
            .order_by(kept.id, of_run.c.cluster, of_run.c.annotator)
        )
        with self._database.read() as connection:
            self._run_row(connection, run_id)
            rows = connection.execute(query).all()
        return tuple(
            ReplyRecord(
                key=ReplyKey(row.card, row.prompt, row.model),
                ask=row.ask,
                reply=_reply(row),
                saved=row.saved,
                cluster=row.cluster,
                annotator=row.annotator or "",
            )
            for row in rows
        )


def _columns(key: ReplyKey, ask: int) -> dict[str, Any]:
    return {"card": key.card, "prompt": key.prompt, "model": key.model, "ask": ask}


def _is(key: ReplyKey, ask: int) -> ColumnElement[bool]:
    return and_(*(tables.replies.c[name] == value for name, value in _columns(key, ask).items()))


def _reply(row: Row[Any]) -> ModelReply:
    return ModelReply(text=row.text, usage=Usage.model_validate(row.usage), model=row.served, stop=row.stop)
