"""The one verb: every cluster is shown to every annotator, and their answers become a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from s2dash.annotation.answer import Annotator, Answer, ClusterCard, Question
from s2dash.annotation.cards import build_cards
from s2dash.annotation.legend import Legend, build_legend
from s2dash.annotation.registry import annotator
from s2dash.clustering.model import ClusterMap
from s2dash.errors import AnnotationError
from s2dash.progress import Progress, Silent, Stage, steps
from s2dash.scene import Scene
from s2dash.schemes import ClassScheme, load_scheme


class AnswerBook(Protocol):
    """Where answers are kept the moment they arrive, so that none is ever asked for twice."""

    def find(self, *, card: str, prompt: str, model: str) -> Answer | None:
        """An earlier answer to the same question by the same model."""

    def keep(self, answer: Answer) -> None:
        """Keep an answer, new or found again, for the present run."""


def annotate(
    clusters: ClusterMap,
    scene: Scene,
    *,
    annotators: Sequence[str] = ("rules",),
    scheme: str | ClassScheme = "worldcover",
    cards: Mapping[int, ClusterCard] | None = None,
    book: AnswerBook | None = None,
    progress: Progress | None = None,
) -> Legend:
    """Name the clusters of a scene.

    Args:
        clusters: What is to be named.
        scene: The scene the clusters were made from.
        annotators: Names in the registry; an annotator that fails leaves the others' votes standing.
        scheme: The closed list of classes.
        cards: What is known of each cluster, if already measured.
        book: Where earlier answers are found and new ones kept.
        progress: Where to report.

    Raises:
        AnnotationError: If an annotator is unknown, none is named, or every one of them failed.
    """
    chosen = [annotator(name) for name in dict.fromkeys(annotators)]
    if not chosen:
        raise AnnotationError("No annotator is named, so nobody could name the clusters. Name at least `rules`.")
    watch = progress or Silent()
    classes = load_scheme(scheme) if isinstance(scheme, str) else scheme
    known = build_cards(clusters, scene, progress=Stage(watch, 0.0, 0.6)) if cards is None else cards
    questions = [(who, Question(known[cluster], classes)) for who in chosen for cluster in sorted(known)]
    answers: list[Answer] = []
    failures: dict[str, str] = {}
    asking = Stage(watch, 0.6, 1.0)
    for who, question in steps(questions, total=len(questions), progress=asking, text="Asking the annotators"):
        if who.name in failures:
            continue
        try:
            answers.append(_ask(who, question, book))
        except AnnotationError as error:
            failures[who.name] = str(error)
    if len(failures) == len(chosen):
        raise AnnotationError(
            "No annotator could answer. " + " ".join(f"{who}: {why}" for who, why in failures.items())
        )
    return build_legend(answers, scheme=classes, clusters=sorted(known))


def _ask(who: Annotator, question: Question, book: AnswerBook | None) -> Answer:
    if book is None:
        return who.answer(question)
    found = book.find(card=question.card.fingerprint, prompt=who.prompt_fingerprint(question), model=who.model)
    answer = who.answer(question) if found is None else found
    answer = answer.model_copy(update={"cluster": question.card.cluster, "annotator": who.name})
    book.keep(answer)
    return answer
