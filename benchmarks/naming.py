"""What naming clusters costs: agreement reached against the ceiling for every annotator, and how fast many are asked.

    python benchmarks/naming.py [FOLDER] [--recorded FILE_OR_FOLDER …] [--no-speed]

FOLDER is as for `real_scenes.py`. Every scene with a reference is clustered (K-Means, 12 clusters, seed 0, or as a
recording says under `settings`) and named by `rules`, by every recording whose clusters are found in it, and by all of
them together under each voting rule. Recordings are the ones of the package, those in `benchmarks/recorded`, and those
given. For the rule `record` an annotator's past are the other scenes: as if a person had given each of their clusters
its best name. Nothing is fitted to the scene itself; no key, no network.

The second table asks 20 clusters of 4 annotators each, one a wire format, of servers on this machine (a process each)
that take 2 s for every answer, through the real SDKs, with real cards of a simulated scene.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.real_scenes import SCHEMES, measure, scenes
from s2dash.annotation.answer import Annotator, Answer, Question
from s2dash.annotation.asking import ask_all
from s2dash.annotation.cards import build_cards
from s2dash.annotation.catalogue import ModelEntry, load_catalogue
from s2dash.annotation.concord import fleiss_kappa, vote_matrix
from s2dash.annotation.exhibits import build_exhibits
from s2dash.annotation.keys import Keys
from s2dash.annotation.legend import Legend, build_legend
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.providers import make_provider
from s2dash.annotation.reliability import past_records, record_rule
from s2dash.annotation.replay import FOLDER, ReplayAnnotator, load_recording
from s2dash.annotation.rules import RulesAnnotator
from s2dash.annotation.vote import MAJORITY, VotingRule
from s2dash.clustering import cluster
from s2dash.comparison import agreement
from s2dash.errors import S2DashError
from s2dash.features import build_features
from s2dash.pipeline import RunResult, RunSettings
from s2dash.schemes import load_scheme
from s2dash.simulation import simulate_scene
from s2dash.sources.request import SceneRequest

ROOT = Path(__file__).resolve().parents[1]
RECORDED = (ROOT / "benchmarks" / "recorded", ROOT / "s2dash" / "data" / FOLDER)
SCORES = ("overall", "miou", "macro_f1")
WIRES = ("claude", "gpt", "gemini", "open")
CLUSTERS, LATENCY_S = 20, 2.0
SERVE = """
import sys
from s2dash.testing_models import ModelServer
with ModelServer(sys.argv[1], latency_s=float(sys.argv[2])) as server:
    print(server.address, flush=True)
    sys.stdin.readline()
    print(len(server.calls), server.most_at_once, flush=True)
"""


@dataclass(frozen=True)
class Named:
    """One scene, clustered one way, in one scheme, and what was said of it."""

    scene: str
    result: RunResult
    answers: Mapping[str, Sequence[Answer]]
    """By annotator; those that said anything usable of its clusters."""
    titles: Mapping[str, str] = field(default_factory=dict)

    def legend(self, names: Sequence[str], rule: VotingRule = MAJORITY) -> Legend:
        said = [answer for name in names for answer in self.answers[name]]
        return build_legend(said, scheme=self.result.legend.scheme, clusters=self.result.cards, rule=rule)

    def taught(self) -> Legend:
        """All answers, and every cluster's best name as a person would have given it."""
        legend = self.legend(list(self.answers))
        best = self.result.agreement.ceiling.naming if self.result.agreement and self.result.agreement.ceiling else {}
        for number, code in best.items():
            legend = legend.override(number, code, who="reference")
        return legend

    def row(self, who: str, legend: Legend) -> str:
        found = replace(self.result, legend=legend).agreement
        named = sum(entry.code is not None for entry in legend.entries.values())
        scores = [f"{digits(getattr(found, one))} of {digits(getattr(found.ceiling, one))}" for one in SCORES]
        return f"| {self.scene} | {legend.scheme.name} | {who} | {named}/{len(legend.entries)} | {' | '.join(scores)} |"


def digits(value: float | None) -> str:
    """Three digits, a dash where undefined."""
    return "–" if value is None else f"{value:.3f}"


def recordings(places: Sequence[Path]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Files of recorded answers, and under what settings their clusters were made."""
    files = [file for place in places for file in (sorted(place.glob("*.json")) if place.is_dir() else [place])]
    return [(file, json.loads(file.read_text("utf-8")).get("settings") or {}) for file in dict.fromkeys(files)]


def annotators(files: Sequence[Path]) -> list[Annotator]:
    """The rules, and one for each model and card style that was recorded, whatever scene it saw."""
    kept: dict[str, list[Any]] = {}
    for recording in map(load_recording, files):
        kept.setdefault(" ".join(filter(None, (recording.model, recording.style))), []).append(recording)
    replays = [ReplayAnnotator(*some, name=name) for name, some in sorted(kept.items())]
    return [RulesAnnotator(), *replays]


def title(who: Annotator) -> str:
    """What the table calls an annotator: of a recording the model, the day it answered, and what it was shown."""
    if not isinstance(who, ReplayAnnotator):
        return who.name
    return " ".join(filter(None, (who.model, who.recordings[0].style)))


def name_scene(name: str, request: SceneRequest, settings: RunSettings, who: Sequence[Annotator]) -> Named | None:
    """Cluster a scene and ask everybody; None without a reference."""
    place = Path(request.location)
    if not ((place if place.is_dir() else place.parent) / "reference.tif").exists():
        return None
    result = measure(request, settings)[0]
    if result.agreement is None:
        return None
    said: dict[str, list[Answer]] = {}
    for one in who:
        found = [one.answer(Question(card, result.legend.scheme)) for card in result.cards.values()]
        if any(not answer.fault for answer in found):
            said[one.name] = found
    titles = {one.name: title(one) for one in who}
    return Named(name, result, said, titles)


def report(named: Sequence[Named]) -> None:
    """Rows of every annotator alone, and of their votes where there are several."""
    for one in named:
        for who in one.answers:
            print(one.row(one.titles[who], one.legend([who])), flush=True)
        if len(one.answers) < 2:
            continue
        others = [other.taught() for other in named if other is not one]
        rules = (MAJORITY, VotingRule("confidence"))
        by_record = record_rule(past_records(others), classes=len(one.result.legend.scheme.classes))
        everybody = list(one.answers)
        for rule in (*rules, by_record):
            print(one.row(f"all {len(everybody)}, {rule.kind}", one.legend(everybody, rule)), flush=True)
        recorded = [who for who in everybody if who != "rules"]
        for rule in (*rules, by_record) if len(recorded) > 1 else ():
            print(one.row(f"recorded {len(recorded)}, {rule.kind}", one.legend(recorded, rule)), flush=True)
        print(f"| {one.scene} | {one.result.legend.scheme.name} | Fleiss' kappa of all | "
              f"{digits(fleiss_kappa(vote_matrix(one.legend(everybody))))} | | | |")  # fmt: skip


def naming(folder: Path, places: Sequence[Path]) -> None:
    """Print the table of agreement, for every way in which the clusters of a recording were made."""
    found = recordings(places)
    plain = RunSettings()
    ways: dict[str, tuple[RunSettings, list[Path]]] = {json.dumps(plain.to_json()): (plain, [])}
    for file, said in found:
        settings = replace(
            RunSettings.from_json(plain.to_json() | dict(said)), annotators=("rules",), scheme="worldcover"
        )
        ways.setdefault(json.dumps(settings.to_json()), (settings, []))[1].append(file)
    for settings, files in ways.values():
        who = annotators(files)
        named: dict[str, list[Named]] = {scheme: [] for scheme in SCHEMES}
        failed = []
        for scheme in SCHEMES:
            for request in scenes(folder):
                name = request.location.removeprefix(str(folder)).strip("/").removesuffix("/scene.tif")
                try:
                    one = name_scene(name, request, replace(settings, scheme=scheme), who)
                except S2DashError as error:
                    failed.append(f"| {name} | {scheme} | {error} | | | | |")
                    continue
                if one is not None:
                    named[scheme].append(one)
        if files and not any(set(one.answers) - {"rules"} for some in named.values() for one in some):
            continue  # recorded of other scenes, such as the demo's
        made = f"k={settings.k}, seed {settings.seed}, {' '.join(settings.indices)}, texture {settings.texture}"
        print(f"\n{settings.method}, {made}; {len(files)} recordings\n")
        print("| scene | scheme | named by | named | overall, of ceiling | mean IoU | macro F1 |\n" + "|---" * 7 + "|")
        print("".join(f"{row}\n" for row in failed), end="")
        for some in named.values():
            report(some)


def speed() -> None:
    """Print how long 20 clusters × 4 annotators take against servers with 2 s latency."""
    scene = simulate_scene(size=256, seed=0).scene
    clusters = cluster(build_features(scene), k=CLUSTERS, seed=0)
    cards = build_cards(clusters, scene)
    start = time.perf_counter()
    exhibits = build_exhibits(clusters, scene, cards)
    drawing = time.perf_counter() - start
    print(f"\n{CLUSTERS} clusters × {len(WIRES)} annotators, {LATENCY_S:g} s latency; drawing took {drawing:.1f} s\n")
    print("| limit per provider | calls | at once | seconds | calls ÷ limit × latency | ratio (aim ≤ 1.2) |")
    print("|---|---|---|---|---|---|")
    for limit, note in ((4, ", first asking"), (4, ""), (8, ""), (2, "")):
        with ExitStack() as stack:
            servers = [stack.enter_context(served(wire)) for wire in WIRES]
            who = [model(wire, server.address, limit) for wire, server in zip(WIRES, servers, strict=True)]
            for one in who:
                stack.callback(one.close)
            questions = [
                (one, Question(cards[number], load_scheme("worldcover"), exhibits[number]))
                for one in who
                for number in sorted(cards)
            ]
            start = time.perf_counter()
            outcome = ask_all(questions)
            seconds = time.perf_counter() - start
            counts = [server.counts() for server in servers]
        least = max(calls for calls, _ in counts) / limit * LATENCY_S
        calls = f"{sum(calls for calls, _ in counts)} for {len(outcome.answers)} answers"
        at_once = " ".join(str(most) for _, most in counts)
        print(
            f"| {limit}{note} | {calls} | {at_once} | {seconds:.2f} | {least:.2f} | {seconds / least:.3f} |", flush=True
        )


@dataclass(frozen=True)
class Served:
    """A server in a process of its own: what it computes is no time of ours."""

    process: subprocess.Popen[str]
    address: str

    def counts(self) -> tuple[int, int]:
        """Calls it got, and most at once; asked once."""
        calls, most = self.process.communicate("\n")[0].split()
        return int(calls), int(most)


@contextmanager
def served(wire: str) -> Iterator[Served]:
    """Run a server until the block ends."""
    command = [sys.executable, "-c", SERVE, wire, str(LATENCY_S)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Served(process, process.stdout.readline().strip())
        finally:
            process.kill()


def model(wire: str, address: str, limit: int) -> ModelAnnotator:
    """An annotator that speaks this wire format to an address on this machine."""
    one = entry(wire, address, limit)
    keys = Keys({"SOME_API_KEY": "sk-benchmark-0123456789"})
    return ModelAnnotator(one, make_provider(one, keys=keys), keys=keys)


def entry(wire: str, address: str, limit: int) -> ModelEntry:
    """The first catalogue entry that speaks this wire format, at an address on this machine."""
    found = next(one for one in load_catalogue().values() if one.provider == wire)
    changes = {"address": address, "key_name": ("SOME_API_KEY",), "limit": limit}
    return ModelEntry.model_validate(found.model_dump() | changes)


def main() -> None:
    """Measure and print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--recorded", type=Path, nargs="*", default=[])
    parser.add_argument("--no-speed", action="store_true")
    options = parser.parse_args()
    if options.folder is not None:
        naming(options.folder, [*(place for place in RECORDED if place.is_dir()), *options.recorded])
    if not options.no_speed:
        speed()


if __name__ == "__main__":
    main()
