"""Jobs: watched, cancelled, and never a traceback for the person."""

from __future__ import annotations

import threading
import time

import pytest

from s2dash.errors import SceneError
from s2dash.jobs import JobBoard


def wait(job):
    for _ in range(500):
        if not job.running:
            return job
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def test_a_job_reports_and_returns():
    def work(progress):
        progress.report(0.5, "half")
        return 7

    job = wait(JobBoard().start("count", work))
    assert (job.state, job.result, job.tracker.share, job.tracker.text) == ("done", 7, 0.5, "half")


def test_a_cancelled_job_stops_at_its_next_report():
    reached = threading.Event()

    def work(progress):
        while True:
            progress.report(0.1, "working")
            reached.set()
            time.sleep(0.005)

    job = JobBoard().start("endless", work)
    assert reached.wait(5)
    job.tracker.cancel()
    assert wait(job).state == "cancelled"
    assert "Nothing was changed" in job.error


def test_a_failure_on_purpose_is_told_in_its_own_words():
    def work(progress):
        raise SceneError("The scene has gone.")

    assert wait(JobBoard().start("open", work)).error == "The scene has gone."


def test_an_unforeseen_failure_is_told_without_its_inside(caplog):
    def work(progress):
        raise KeyError("secret path /home/x")

    job = wait(JobBoard().start("Mapping", work))
    assert job.state == "failed"
    assert "KeyError" in job.error
    assert "secret" not in job.error
    assert "secret" in caplog.text  # the log has it


def test_lack_of_memory_is_told_with_a_way_out():
    def work(progress):
        raise MemoryError

    assert "smaller" in wait(JobBoard().start("x", work)).error


def test_jobs_are_found_by_id_and_listed_while_they_run():
    board, go = JobBoard(), threading.Event()
    job = board.start("wait", lambda progress: go.wait(5))
    assert board.get(job.id) is job
    assert board.running() == [job]
    go.set()
    wait(job)
    assert board.running() == []
    assert board.get("unknown") is None
    assert board.get(None) is None


def test_old_jobs_are_forgotten_but_never_running_ones():
    board, go = JobBoard(), threading.Event()
    first = board.start("wait", lambda progress: go.wait(10))
    for _ in range(60):
        wait(board.start("quick", lambda progress: None))
    assert board.get(first.id) is first
    go.set()
    wait(first)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_remaining_time_is_told_only_when_it_can_be_known(share):
    def work(progress):
        progress.report(share, "x")

    job = wait(JobBoard().start("x", work))
    job.started -= 10
    assert job.remaining_s is None if share == 0 else job.remaining_s == pytest.approx(10, abs=1)
