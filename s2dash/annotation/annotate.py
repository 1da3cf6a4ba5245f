"""The one verb: every cluster is shown to every annotator, and their answers become a legend."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from s2dash.annotation.answer import Annotator, ClusterCard, Question
from s2dash.annotation.asking import Asked, ask_all
from s2dash.annotation.card_style import DEFAULT_STYLE
from s2dash.annotation.cards import build_cards
from s2dash.annotation.catalogue import ModelEntry
from s2dash.annotation.estimate import estimate
from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.exhibits import build_exhibits
from s2dash.annotation.keys import Keys
from s2dash.annotation.legend import Legend, build_legend
from s2dash.annotation.registry import annotator
from s2dash.annotation.replies import AnswerBook
from s2dash.annotation.vote import MAJORITY, VotingRule
from s2dash.clustering.model import ClusterMap
from s2dash.errors import AnnotationError, ProviderError
from s2dash.progress import Progress, Silent, Stage
from s2dash.scene import Scene
from s2dash.schemes import ClassScheme, load_scheme


def annotate(
    clusters: ClusterMap,
    scene: Scene,
    *,
    annotators: Sequence[str] = ("rules",),
    scheme: str | ClassScheme = "worldcover",
    cards: Mapping[int, ClusterCard] | None = None,
    style: str = DEFAULT_STYLE,
    seed: int = 0,
    keys: Keys | None = None,
    book: AnswerBook | None = None,
    budget: float | None = None,
    rule: VotingRule = MAJORITY,
    progress: Progress | None = None,
) -> Legend:
    """Name the clusters of a scene.

    Args:
        clusters: What is to be named.
        scene: The scene the clusters were made from.
        annotators: Names in the registry; an annotator that fails leaves the others' votes standing.
        scheme: The closed list of classes.
        cards: What is known of each cluster, if already measured.
        style: Card style, for annotators that look.
        seed: Of the order in which the classes are listed in a question.
        keys: Of the services; by default those of the environment.
        book: Where earlier answers are found and new ones kept.
        budget: Most that the answers may cost, US dollars.
        rule: How votes count; a majority by default.
        progress: Where to report.

    Raises:
        AnnotationError: If an annotator is unknown, none is named, every one of them failed, or the budget allows no
            answer at all.
        Cancelled: If the person stopped it; answers that came are in the book.
    """
    watch = progress or Silent()
    classes = load_scheme(scheme) if isinstance(scheme, str) else scheme
    known = build_cards(clusters, scene, progress=Stage(watch, 0.0, 0.4)) if cards is None else cards
    asked = ask_annotators(
        clusters,
        scene,
        annotators=annotators,
        scheme=classes,
        cards=known,
        style=style,
        seed=seed,
        keys=keys,
        book=book,
        budget=budget,
        progress=Stage(watch, 0.4, 1.0),
    )
    if not asked.answers and asked.stopped:
        raise AnnotationError(asked.stopped)  # a legend has no place to say so
    return build_legend(asked.answers, scheme=classes, clusters=sorted(known), rule=rule)


def ask_annotators(
    clusters: ClusterMap,
    scene: Scene,
    *,
    annotators: Sequence[str],
    scheme: ClassScheme,
    cards: Mapping[int, ClusterCard],
    style: str = DEFAULT_STYLE,
    seed: int = 0,
    keys: Keys | None = None,
    catalogue: Mapping[str, ModelEntry] | None = None,
    synonyms: Mapping[str, int] | None = None,
    book: AnswerBook | None = None,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Asked:
    """What the annotators say, and what that took; arguments as those of `annotate`.

    Args:
        clusters: What is to be named.
        scene: The scene the clusters were made from.
        annotators: Names in the registry.
        scheme: The closed list of classes.
        cards: What is known of the clusters to ask about.
        style: Card style.
        seed: Of the order of the classes.
        keys: Of the services.
        catalogue: The models to choose from.
        synonyms: More words → class code, for reading replies.
        book: Where earlier answers are found and new ones kept.
        budget: Most that the answers may cost, US dollars.
        progress: Where to report.

    Raises:
        AnnotationError: If an annotator is unknown, none is named, or every one of them failed.
        Cancelled: If the person stopped it; answers that came are in the book.
    """
    watch = progress or Silent()
    chosen, failures = make_annotators(annotators, keys=keys, catalogue=catalogue, synonyms=synonyms)
    exhibits: Mapping[int, Exhibit] = {}
    try:
        if any(looks(who) for who in chosen):
            exhibits = build_exhibits(clusters, scene, cards, style=style, progress=Stage(watch, 0.0, 0.3))
        questions = questions_for(chosen, cards, scheme=scheme, exhibits=exhibits, seed=seed)
        told = estimate(questions, book=book)
        if told.models:  # before anything is sent
            watch.report(0.3, told.text)
        asked = ask_all(questions, book=book, budget_dollars=budget, progress=Stage(watch, 0.3, 1.0))
    finally:
        close_annotators(chosen)
    asked = replace(asked, failures={**failures, **asked.failures})
    if not asked.answers and asked.failures and cards:
        raise AnnotationError(
            "No annotator could answer. " + " ".join(f"{who}: {why}" for who, why in asked.failures.items())
        )
    return asked


def make_annotators(
    names: Sequence[str],
    *,
    keys: Keys | None = None,
    catalogue: Mapping[str, ModelEntry] | None = None,
    synonyms: Mapping[str, int] | None = None,
    live: bool = True,
) -> tuple[list[Annotator], dict[str, str]]:
    """The annotators of these names, and why some could not be had: a missing key leaves the others to answer.

    Args:
        names: In the registry.
        keys: Of the services.
        catalogue: The models to choose from.
        synonyms: More words → class code, for reading replies.
        live: Whether they are to be asked; otherwise no key is needed, and what asking takes can be estimated.

    Raises:
        AnnotationError: If one is unknown, or none is named.
    """
    if not names:
        raise AnnotationError("No annotator is named, so nobody could name the clusters. Name at least `rules`.")
    made: list[Annotator] = []
    failures: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            made.append(annotator(name, keys=keys, catalogue=catalogue, synonyms=synonyms, live=live))
        except ProviderError as error:
            failures[name] = str(error)
    return made, failures


def questions_for(
    annotators: Sequence[Annotator],
    cards: Mapping[int, ClusterCard],
    *,
    scheme: ClassScheme,
    exhibits: Mapping[int, Exhibit],
    seed: int = 0,
    only: Collection[int] | None = None,
    earlier: Mapping[int, tuple[str, ...]] | None = None,
    turn: int = 1,
) -> list[tuple[Annotator, Question]]:
    """One question a cluster and annotator; pictures only for those that look."""
    return [
        (
            who,
            Question(
                cards[cluster],
                scheme,
                exhibit=exhibits[cluster] if looks(who) else None,
                seed=seed,
                earlier=(earlier or {}).get(cluster, ()),
                round=turn,
            ),
        )
        for who in annotators
        for cluster in sorted(cards)
        if only is None or cluster in only
    ]


def looks(who: Annotator) -> bool:
    """Whether an annotator is shown pictures and words, and not just the figures of the card."""
    return bool(getattr(who, "looks", False))


def close_annotators(annotators: Sequence[Annotator]) -> None:
    """Give connections back."""
    for who in annotators:
        close = getattr(who, "close", None)
        if close is not None:
            close()
