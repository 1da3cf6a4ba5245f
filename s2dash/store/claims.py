"""Which process asks which question now, so that two programs on one workspace do not both pay for the answer."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, update

from s2dash.annotation.replies import ReplyKey
from s2dash.store import tables
from s2dash.store.owner import Owner, is_gone, this_process
from s2dash.store.part import StorePart, now

LEASE_S = 300.0
"""Seconds after which a claim that nobody renewed is open to others: of a process elsewhere nothing else is certain."""


class Claims(StorePart):
    """Questions under way, across processes and machines."""

    def claim(self, key: ReplyKey) -> bool:
        """Whether this process may ask a question now; then others may not, until it `release`s it."""
        owner = this_process()
        with self._database.write() as connection:
            row = {**asdict(key), **asdict(owner), "renewed": now()}
            held = connection.execute(select(tables.claims).where(_is(key)).with_for_update()).one_or_none()
            if held is None:  # of two who see that at the same moment, one inserts
                return self._database.insert(connection, tables.claims, row)
            if not _is_open(Owner(held.pid, held.host, held.mark), held.renewed, owner):
                return False
            connection.execute(update(tables.claims).where(_is(key)).values(**row))
            return True

    def release(self, key: ReplyKey) -> None:
        """Let others ask a question that this process claimed."""
        with self._database.write() as connection:
            connection.execute(delete(tables.claims).where(_is(key), _by(this_process())))

    def renew_claims(self) -> None:
        """Say that this process still works on all it claimed."""
        with self._database.write() as connection:
            connection.execute(update(tables.claims).where(_by(this_process())).values(renewed=now()))


def _is_open(holder: Owner, renewed: Any, asker: Owner) -> bool:
    return holder == asker or is_gone(holder) or now() - renewed > timedelta(seconds=LEASE_S)


def _is(key: ReplyKey) -> ColumnElement[bool]:
    return and_(*(tables.claims.c[name] == value for name, value in asdict(key).items()))


def _by(owner: Owner) -> ColumnElement[bool]:
    return and_(*(tables.claims.c[name] == value for name, value in asdict(owner).items()))
