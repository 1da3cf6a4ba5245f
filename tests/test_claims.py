"""Claims in a workspace: one process at a time asks a question; what a dead or silent one claimed is open again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from s2dash.annotation.replies import ClaimBook, ReplyKey
from s2dash.store import Store, claims
from s2dash.store.owner import Owner, this_process
from s2dash.store.part import now

KEY, OTHER = ReplyKey("card", "prompt", "model"), ReplyKey("card", "prompt", "another")
ALIVE = this_process()
DEAD = replace(ALIVE, mark="before the machine was started")
ELSEWHERE = Owner(ALIVE.pid, "another-machine", "its mark")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "w") as opened:
        yield opened


def as_process(monkeypatch: pytest.MonkeyPatch, owner: Owner) -> None:
    monkeypatch.setattr(claims, "this_process", lambda: owner)


def test_a_question_is_claimed_by_one_process_until_it_is_released(store: Store, monkeypatch: pytest.MonkeyPatch):
    run = store.begin_run(project=store.ensure_project("P").id, title="r", scene={}, settings={}).id
    book = store.answer_book(run)
    assert isinstance(book, ClaimBook)
    assert book.claim(KEY)
    assert book.claim(KEY), "its own claim is no hindrance"
    as_process(monkeypatch, ELSEWHERE)
    assert not book.claim(KEY)
    assert book.claim(OTHER)
    book.release(KEY)
    assert not book.claim(KEY), "only its owner gives it back"
    as_process(monkeypatch, ALIVE)
    book.release(KEY)
    as_process(monkeypatch, ELSEWHERE)
    assert book.claim(KEY)


def test_what_a_dead_process_claimed_is_open_at_once(store: Store, monkeypatch: pytest.MonkeyPatch):
    as_process(monkeypatch, DEAD)
    assert store.claim(KEY)
    as_process(monkeypatch, ALIVE)
    assert store.claim(KEY)
    as_process(monkeypatch, ELSEWHERE)
    assert not store.claim(KEY), "it is the living one's now"


@pytest.mark.parametrize("renews", [True, False])
def test_what_a_silent_process_elsewhere_claimed_is_open_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch, renews: bool
):
    as_process(monkeypatch, ELSEWHERE)
    assert store.claim(KEY)
    later = now() + timedelta(seconds=claims.LEASE_S + 1)
    monkeypatch.setattr(claims, "now", lambda: later)
    if renews:
        store.renew_claims()
    as_process(monkeypatch, ALIVE)
    assert store.claim(KEY) is not renews
