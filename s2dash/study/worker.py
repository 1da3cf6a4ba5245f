"""One strategy in a process of its own: `python -m s2dash.study.worker`, started by `s2dash.study.compare`.

The job comes as one line of JSON on standard input; progress and, last, the result go out as lines of JSON. Standard
input stays open as long as the parent lives: when it closes, this process ends at once.
"""

from __future__ import annotations

import dis
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from s2dash.annotation.annotate import annotate
from s2dash.annotation.cards import build_cards
from s2dash.clustering import ClusterMap, cluster, method_entry
from s2dash.clustering.sam_weights import check_weights_here
from s2dash.comparison import agreement
from s2dash.errors import S2DashError, WeightsError
from s2dash.features import FeatureStack
from s2dash.map_values import unknown_from_json
from s2dash.memory import available_bytes
from s2dash.progress import Progress, Silent, Stage, timetable
from s2dash.reference import Reference
from s2dash.run_settings import RunSettings
from s2dash.scene import Scene
from s2dash.schemes import load_scheme
from s2dash.study.job import Job

_MIB = 1024**2


def run_job(job: Job, *, progress: Progress | None = None, held: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make the map of one strategy and judge it.

    Args:
        job: What to do.
        progress: Where to report.
        held: Is told what is known so far, for the case that it fails.

    Returns:
        What a `StrategyResult` holds besides its settings, and `features`, those of the silhouette.

    Raises:
        S2DashError: If it cannot be done.
    """
    watch, settings = progress or Silent(), job.settings
    found: dict[str, Any] = held if held is not None else {}
    if settings.method == "sam":
        check_weights_here(str(method_entry("sam").check_options(settings.options)["weights"]))
    watch.report(0.0, "Opening the scene")
    preload(settings.method)
    scene = job.request.load()
    found["baseline_mib"] = round(peak_mib(), 1)
    pixels = int(np.prod(scene.grid.shape))
    stages = timetable(
        watch,
        opening=1.0,
        features=0.1 + pixels / 2e7,
        clustering=settings.effort(pixels).total,
        silhouette=0.7,
        naming=0.3 + pixels / 1e7 if job.reference is not None else 0.0,
    )
    start = time.perf_counter()
    features = settings.features(scene, progress=stages["features"])
    clusters = cluster(
        features,
        method=settings.method,
        k=settings.k,
        seed=settings.seed,
        sample=settings.sample,
        options=settings.options,
        progress=stages["clustering"],
    )
    found |= {"seconds": round(time.perf_counter() - start, 3), "peak_mib": round(peak_mib(), 1)}
    named = set(clusters.counts()) - {clusters.noise}
    found |= {"clusters": len(named), "notes": [*features.notes, *clusters.notes]}
    found["noise_share"] = noise_share(clusters)
    judging = stages["silhouette"]
    judging.report(0.0, "Measuring the silhouette")
    space = features if look_alike(settings, job.judge) else job.judge.features(scene, progress=judging)
    found |= silhouette(clusters, space, pixels=job.judge_pixels, seed=job.judge.seed)
    if job.reference is not None:
        found |= _judged(clusters, scene, job, stages["naming"])
    return found


def look_alike(one: RunSettings, other: RunSettings) -> bool:
    """Whether pixels have the same features with both settings, standardised alike."""
    return all(
        getattr(one, name) == getattr(other, name) for name in ("indices", "texture", "season", "sample", "seed")
    )


def silhouette(clusters: ClusterMap, space: FeatureStack, *, pixels: int, seed: int) -> dict[str, Any]:
    """Mean silhouette (Rousseeuw 1987) of sampled pixels, noise counted as a cluster like any other.

    Args:
        clusters: The map.
        space: The features in which distances are measured, standardised.
        pixels: How many to draw; the same seed draws the same, whatever the clusters.
        seed: Of the draw.

    Returns:
        `silhouette`, None where all pixels are in one cluster or each in one of its own, and the pixels and features
        it is measured on.
    """
    from sklearn.metrics import silhouette_score

    labels = clusters.labels[space.sampled_places(pixels, seed=seed)]
    kept = labels > 0  # a strategy may leave out pixels that others see, as one that looks at the season does
    points, labels = space.sample(pixels, seed=seed)[kept].astype(np.float64), labels[kept]
    many = len(np.unique(labels))
    score = float(silhouette_score(points, labels)) if 1 < many < len(labels) else None
    return {"silhouette": score, "judged_pixels": len(labels), "judged_on": list(space.names)}


def noise_share(clusters: ClusterMap) -> float | None:
    """Share of the labelled pixels that the method calls noise, 0-1; None where it knows no noise."""
    if clusters.noise is None:
        return None
    counts = clusters.counts()
    return counts.get(clusters.noise, 0) / sum(counts.values())


def peak_mib() -> float:
    """Most memory this process has held so far, MiB.

    On Linux from the kernel's account of this very program: `getrusage` would also count what the program held that
    started it.
    """
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MIB if sys.platform == "darwin" else 1024)


def preload(method: str) -> None:
    """Import all that a method imports when it is first used, so that imports are not timed."""
    waiting, seen = [method_entry(method).place.partition(":")[0]], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        with suppress(ImportError, AttributeError, ValueError):  # what is missing is said by the method itself
            import_module(name)
            spec = find_spec(name)
            if name.startswith("s2dash.") and spec is not None and isinstance(spec.loader, InspectLoader):
                waiting += _imports(spec.loader.get_code(name))
    if "torch" in sys.modules:
        with suppress(ImportError):
            import_module("torch._dynamo")  # PyTorch's own late import, at the first step of an optimiser: seconds


def _imports(code: CodeType | None) -> list[str]:
    """Modules that a module imports, inside functions too.

    From its compiled code: `ast.parse` may fail in Python 3.11 while another thread parses.
    """
    if code is None:
        return []
    names = [str(step.argval) for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"]
    return names + [name for part in code.co_consts if isinstance(part, CodeType) for name in _imports(part)]


def _judged(clusters: ClusterMap, scene: Scene, job: Job, progress: Progress) -> dict[str, Any]:
    """Name the clusters, and compare the map with the reference."""
    assert job.reference is not None
    settings, about = job.settings, dict(job.reference)
    scheme = load_scheme(settings.scheme)
    codes = np.load(about.pop("codes"), mmap_mode="r")
    unknown = unknown_from_json(about.pop("unknown"))
    reference = Reference(grid=scene.grid, codes=codes, scheme=scheme, unknown=unknown, **about)
    cards = build_cards(clusters, scene, seed=settings.seed, progress=Stage(progress, 0.0, 0.5))
    legend = annotate(
        clusters,
        scene,
        annotators=settings.annotators,
        scheme=scheme,
        cards=cards,
        progress=Stage(progress, 0.5, 0.9),
    )
    acquired = scene.provenance.acquired
    landcover = legend.apply(clusters, year=acquired.year if acquired else None)
    report = agreement(landcover, reference, clusters=clusters)
    best = report.ceiling.scores if report.ceiling is not None else None
    return {
        "reached": report.confusion.scores.to_json(),
        "ceiling": best.to_json() if best is not None else None,
        "caution": report.caution,
    }


# ---- the process


@dataclass
class _Lines:
    """Writes messages for the parent; the `Progress` of the job."""

    out: int
    """File descriptor."""
    _text: str = field(default="", repr=False)
    _when: float = field(default=0.0, repr=False)

    def report(self, share: float, text: str) -> None:
        """Tell the parent, some ten times a second at most."""
        now = time.monotonic()
        if text != self._text or now - self._when > 0.1:
            self._text, self._when = text, now
            self.write({"share": share, "text": text})

    def write(self, message: Mapping[str, Any]) -> None:
        """One line."""
        line = memoryview(json.dumps(message, allow_nan=False).encode() + b"\n")
        while line:
            line = line[os.write(self.out, line) :]


def main() -> None:
    """Do the job on standard input."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            return
        line += part
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):  # should memory run out, this process goes, not the one that started it
        Path("/proc/self/oom_score_adj").write_text("800")
    lines = _Lines(os.dup(1))
    os.dup2(2, 1)  # whatever a library prints is no message
    held: dict[str, Any] = {}
    try:
        lines.write({"result": run_job(Job.from_json(json.loads(line)), progress=lines, held=held)})
    except S2DashError as error:
        unmet = isinstance(error, WeightsError)
        lines.write({"error": str(error), "unmet": unmet, "held": held | {"peak_mib": round(peak_mib(), 1)}})
    except MemoryError:
        numbers = f"It held {peak_mib():,.0f} MiB; {available_bytes() / _MIB:,.0f} MiB were free"
        text = f"It ran out of memory. {numbers}. Choose fewer features, a smaller sample or a smaller scene."
        lines.write({"error": text, "held": held | {"peak_mib": round(peak_mib(), 1)}})
    except ImportError as error:
        text = f"It needs something that is not installed: {error}. Install the requirements of this program."
        lines.write({"error": text, "unmet": True, "held": held})
    except Exception as error:
        import traceback

        traceback.print_exc()
        text = f"It failed for a reason this program did not foresee ({type(error).__name__}: {error})."
        lines.write({"error": text, "held": held})
    os._exit(0)  # threads of libraries need not be waited for: nothing is left to write


def _end_with_parent() -> None:
    """Wait until the parent closes standard input, if only by dying, and end with all that was started from here."""
    while os.read(0, 65536):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
