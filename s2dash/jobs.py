"""Long work in the background: one thread a job, progress that can be watched, a stop that is heard."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from s2dash.errors import Cancelled, S2DashError
from s2dash.progress import Progress, Tracker, time_left

logger = logging.getLogger(__name__)

State = Literal["running", "done", "failed", "cancelled"]
_KEPT = 50


@dataclass
class Job:
    """A piece of work under way, or over."""

    id: str
    """Made by us."""
    title: str
    """What it does, for the person."""
    tracker: Tracker = field(default_factory=Tracker)
    """Where it is."""
    state: State = "running"
    """How it stands."""
    result: Any = None
    """What it returned."""
    error: str = ""
    """Why it failed, for the person."""
    started: float = field(default_factory=time.monotonic)
    """Monotonic clock, s."""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at the pace so far; None while that would be a guess."""
        return time_left(self.tracker.share, time.monotonic() - self.started)


class JobBoard:
    """All jobs of this process; safe to use from several threads."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, title: str, work: Callable[[Progress], Any]) -> Job:
        """Run `work` on a thread of its own, giving it a `Progress` to report to."""
        job = Job(id=uuid.uuid4().hex[:12], title=title)
        with self._lock:
            over = [known for known in self._jobs.values() if not known.running]
            for old in over[: max(len(self._jobs) - _KEPT, 0)]:
                del self._jobs[old.id]
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, work), name=f"s2dash-job-{job.id}", daemon=True).start()
        return job

    def get(self, job_id: str | None) -> Job | None:
        """A job by id; None where it is not known (any more)."""
        with self._lock:
            return self._jobs.get(job_id or "")

    def running(self) -> list[Job]:
        """Jobs under way."""
        with self._lock:
            return [job for job in self._jobs.values() if job.running]

    @staticmethod
    def _run(job: Job, work: Callable[[Progress], Any]) -> None:
        try:
            job.result = work(job.tracker)
            job.state = "done"
        except Cancelled as error:
            job.error, job.state = str(error), "cancelled"
        except S2DashError as error:
            job.error, job.state = str(error), "failed"
        except MemoryError:
            job.error = "There is not enough memory. Choose a smaller area, fewer features or a smaller sample."
            job.state = "failed"
        except Exception as error:
            logger.exception("Job %s failed", job.title)
            job.error = (
                f"{job.title} failed for a reason this program did not foresee ({type(error).__name__}). Nothing that "
                "was there before is changed; the details are in the log of the program."
            )
            job.state = "failed"
