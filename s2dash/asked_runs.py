"""Asking about the clusters of a finished run: by models, by hand, and once more where they were not sure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from s2dash.annotation.annotate import close_annotators, looks, make_annotators, questions_for
from s2dash.annotation.answer import Annotator, Answer, Question
from s2dash.annotation.asking import Asked, ask_all
from s2dash.annotation.card_style import DEFAULT_STYLE, SECOND_STYLE
from s2dash.annotation.catalogue import ModelEntry, load_catalogue
from s2dash.annotation.estimate import Estimate, estimate
from s2dash.annotation.exhibit import Exhibit
from s2dash.annotation.exhibits import build_exhibits
from s2dash.annotation.keys import Keys
from s2dash.annotation.pack import answer_from_text
from s2dash.annotation.registry import check_annotator_name
from s2dash.annotation.reliability import Record, past_records, record_rule
from s2dash.annotation.second_look import Doubt, RoundReport, arguments, round_report, second_look
from s2dash.annotation.vote import RuleKind, VotingRule
from s2dash.errors import AnnotationError, Cancelled, EditError, StoreError
from s2dash.kept_runs import KeptRuns, person
from s2dash.pipeline import RunResult
from s2dash.progress import Progress, Silent, Stage
from s2dash.store import Store

CATALOGUE = "models.toml"
"""A person's own models, in the workspace folder: adds to those that come with the package, or replaces them."""
_PARTS = 2
_KEPT_EXHIBITS = 2


class AskedRuns(KeptRuns):
    """Finished runs whose clusters annotators are asked about."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._shown = lru_cache(maxsize=_KEPT_EXHIBITS)(self._build_exhibits)

    def catalogue(self) -> Mapping[str, ModelEntry]:
        """The models that can be asked.

        Raises:
            CatalogueError: If the person's own list cannot be read.
        """
        extra = self.store.folder / CATALOGUE
        return load_catalogue(extra=extra if extra.is_file() else None)

    def exhibits(
        self, run_id: str, *, style: str = DEFAULT_STYLE, progress: Progress | None = None
    ) -> Mapping[int, Exhibit]:
        """What models are shown of each cluster of a run.

        Raises:
            SceneError: If the scene has gone.
            AnnotationError: If there is no such style.
        """
        watch = progress or Silent()
        watch.report(0.0, "Drawing the clusters")
        return self._shown(run_id, style, self.open_run(run_id).edits.state)

    def question(self, run_id: str, cluster: int, *, style: str = DEFAULT_STYLE) -> Question:
        """What any model would be asked about a cluster, to be asked by hand.

        Raises:
            SceneError: If the scene has gone.
            AnnotationError: If there is no such cluster.
        """
        result = self.open_run(run_id)
        if cluster not in result.cards:
            raise AnnotationError(f"There is no cluster {cluster} in this run.")
        exhibit = self.exhibits(run_id, style=style)[cluster]
        return Question(result.cards[cluster], result.legend.scheme, exhibit=exhibit, seed=result.settings.seed)

    def estimate(self, run_id: str, names: Sequence[str], *, style: str = DEFAULT_STYLE) -> Estimate:
        """What asking about all clusters would send and cost; needs no key, and what is kept already costs nothing.

        Raises:
            SceneError: If the scene has gone.
            AnnotationError: If an annotator is unknown.
        """
        result = self.open_run(run_id)
        chosen, _ = self._annotators(result, names, None, live=False)
        exhibits = self.exhibits(run_id, style=style) if any(map(looks, chosen)) else {}
        return estimate(_questions(result, chosen, exhibits), book=self.store.answer_book(run_id))

    def ask(
        self,
        run_id: str,
        names: Sequence[str],
        *,
        keys: Keys | None = None,
        style: str = DEFAULT_STYLE,
        budget: float | None = None,
        progress: Progress | None = None,
    ) -> Asked:
        """Ask about every cluster of a run; every answer is in the store the moment it arrives, and then in the legend.

        Args:
            run_id: The run.
            names: Annotators.
            keys: Of the services; by default those of the environment.
            style: Card style.
            budget: Most that it may cost, US dollars.
            progress: Where to report, and through which to cancel; answers that came stay.

        Raises:
            SceneError: If the scene has gone.
            AnnotationError: If an annotator is unknown, or no one could answer.
            Cancelled: If the person stopped it.
        """
        return self._ask(run_id, names, keys=keys, style=style, budget=budget, progress=progress or Silent())

    def take_answers(self, run_id: str, answers: Collection[Answer]) -> None:
        """Take in answers that were given elsewhere; of those in one name on one cluster the last given counts.

        Raises:
            AnnotationError: If one is about a cluster or in a class that there is not.
        """
        result = self.open_run(run_id)
        for answer in answers:
            if answer.cluster not in result.cards:
                raise AnnotationError(f"There is no cluster {answer.cluster} in this run; nothing was taken in.")
            for code in (answer.code, answer.second):
                if code is not None and code not in result.legend.scheme:
                    raise AnnotationError(
                        f"The scheme {result.legend.scheme.name!r} has no class {code}; nothing was taken in."
                    )
        for answer in answers:
            self._keep_given(run_id, answer)
        self._change(run_id, lambda now: now)

    def paste(self, run_id: str, cluster: int, text: str, *, name: str, style: str = DEFAULT_STYLE) -> Answer:
        """Take in what a model, asked by hand, replied about a cluster.

        Args:
            run_id: The run.
            cluster: Which cluster it was asked about.
            text: The reply as it came.
            name: What to call the model.
            style: Card style of the question.

        Raises:
            AnnotationError: If the reply cannot be read; the text says what is wrong with it, and nothing is taken in.
        """
        who = check_annotator_name(name)
        question = self.question(run_id, cluster, style=style)
        known = self.store.synonyms(question.scheme)
        answer = answer_from_text(text, question, name=who, model=who, synonyms=known)
        if answer.fault:
            raise AnnotationError(f"The reply about cluster {cluster} was not taken in. {answer.fault}")
        self.take_answers(run_id, [answer])
        return answer

    def records(self) -> dict[str, Record]:
        """How often each annotator agreed with people, over all finished runs of the workspace."""
        legends = []
        for record in self.store.runs():
            if record.status == "finished" and self.store.events(record.id):
                with suppress(StoreError):  # a damaged run says nothing
                    legends.append(self.open_run(record.id).legend)
        return past_records(legends)

    def set_voting(self, run_id: str, kind: RuleKind) -> None:
        """Let the votes of a run count in another way, from now on; what people decided stays."""
        classes = len(self.open_run(run_id).legend.scheme.codes)
        rule = record_rule(self.records(), classes=classes) if kind == "record" else VotingRule(kind)
        self._change(
            run_id,
            lambda now: replace(
                now, legend=replace(now.legend, rule=rule), settings=replace(now.settings, voting=kind)
            ),
        )

    def doubts(self, run_id: str) -> tuple[Doubt, ...]:
        """Clusters that a feedback round would be about, and what it would do."""
        result = self.open_run(run_id)
        return second_look(result.legend, pixels={cluster: card.pixels for cluster, card in result.cards.items()})

    def second_look(
        self,
        run_id: str,
        names: Sequence[str],
        *,
        keys: Keys | None = None,
        style: str = SECOND_STYLE,
        budget: float | None = None,
        split: bool = True,
        who: str = "",
        progress: Progress | None = None,
    ) -> RoundReport:
        """A feedback round: clusters that are disputed, unknown or called mixed are split, or asked about once more.

        Args:
            run_id: The run.
            names: Annotators to ask.
            keys: Of the services.
            style: Card style of this round.
            budget: Most that it may cost, US dollars.
            split: Whether clusters may be split; each split is an edit like a person's, and can be undone.
            who: Who asked for it, for the history of edits.
            progress: Where to report, and through which to cancel; what was done until then stays.

        Returns:
            What was done, what it cost, and what it changed; kept in the run.

        Raises:
            AnnotationError: If no cluster is in doubt, an annotator is unknown, or no one could answer.
            SceneError: If the scene has gone.
            Cancelled: If the person stopped it.
        """
        watch = progress or Silent()
        before = self.open_run(run_id)
        doubts = self.doubts(run_id)
        if not doubts:
            raise AnnotationError("No cluster is disputed, unknown or called mixed: there is nothing to look at again.")
        turn = 1 + max((answer.round for answer in before.legend.answers), default=1)
        again: dict[int, tuple[str, ...]] = {}
        splits: dict[int, tuple[int, ...]] = {}
        for place, doubt in enumerate(doubts):
            watch.report(0.3 * place / len(doubts), f"Looking at cluster {doubt.cluster} again")
            said = arguments(before.legend, doubt.cluster)
            made: Sequence[int] = ()
            if split and doubt.action == "split":
                made = self._split(
                    run_id,
                    doubt,
                    who=who,
                    progress=Stage(watch, 0.3 * place / len(doubts), 0.3 * (place + 1) / len(doubts)),
                )
                if made:
                    splits[doubt.cluster] = tuple(made)
            again |= dict.fromkeys(made or (doubt.cluster,), () if made else said)
        asked = self._ask(
            run_id, names, keys=keys, style=style, budget=budget, only=again, turn=turn, progress=Stage(watch, 0.3, 1.0)
        )
        if asked.stopped and not asked.answers:
            raise AnnotationError(asked.stopped)  # a round without any answer is none
        after = self.open_run(run_id)
        report = round_report(
            before.legend,
            after.legend,
            number=turn,
            asked=again,
            splits=splits,
            calls=asked.called,
            usage=asked.usage,
            agreement=(_overall(before), _overall(after)),
            remarks=asked.remarks,
        )
        self._change(run_id, lambda now: replace(now, rounds=(*now.rounds, report)))
        return report

    def learn(self, run_id: str, term: str, code: int, *, who: str = "") -> None:
        """Let a word that an annotator used stand for a class from now on.

        Raises:
            StoreError: If the word is the name of another class.
        """
        self.store.add_synonym(self.open_run(run_id).legend.scheme, term, code, who=who or person())

    def _keep_given(self, run_id: str, answer: Answer) -> None:
        """Keep an answer that nobody was paid for, under a key of its own where its key holds another answer."""
        standing = self.open_run(run_id).legend.entries[answer.cluster].voters
        last = next((one for one in standing if one.annotator == answer.annotator), None)
        if last is not None and _said(last) == _said(answer):
            return
        if self.store.find_answer(card=answer.card, prompt=answer.prompt, model=answer.model) is not None:
            # The store keeps the first answer to a question, but people correct what they gave, and two of them may
            # have asked the same model.
            given = f"{answer.prompt} {run_id} {answer.annotator} {datetime.now(UTC).isoformat()}"
            answer = answer.model_copy(update={"prompt": sha256(given.encode()).hexdigest()})
        self.store.save_answer(run_id, answer)

    def _split(self, run_id: str, doubt: Doubt, *, who: str, progress: Progress) -> Sequence[int]:
        try:
            entry = self.edit_clusters(
                run_id,
                "split",
                clusters=(doubt.cluster,),
                value=_PARTS,
                who=who,
                why=f"second look: {doubt.reason}",
                progress=progress,
            )
        except EditError:
            return ()  # it cannot be split: it is asked about as it is
        return entry.edit.made

    def _ask(
        self,
        run_id: str,
        names: Sequence[str],
        *,
        keys: Keys | None,
        style: str,
        budget: float | None,
        progress: Progress,
        only: Mapping[int, tuple[str, ...]] | None = None,
        turn: int = 1,
    ) -> Asked:
        result = self.open_run(run_id)
        chosen, failures = self._annotators(result, names, keys)
        try:
            exhibits = self.exhibits(run_id, style=style, progress=progress) if any(map(looks, chosen)) else {}
            questions = _questions(result, chosen, exhibits, only=only, turn=turn)
            book = self.store.answer_book(run_id)
            asked = ask_all(questions, book=book, budget_dollars=budget, progress=Stage(progress, 0.1, 0.95))
        except Cancelled as error:
            raise Cancelled("Stopped asking. The answers that came until then are kept and count.") from error
        finally:
            close_annotators(chosen)
            self._change(run_id, lambda now: now)  # the files of the run, with every answer that came
        asked = replace(asked, failures={**failures, **asked.failures})
        if not asked.answers and asked.failures:
            raise AnnotationError("Nobody could answer. " + " ".join(asked.remarks))
        return asked

    def _annotators(
        self, result: RunResult, names: Sequence[str], keys: Keys | None, *, live: bool = True
    ) -> tuple[list[Annotator], dict[str, str]]:
        synonyms = self.store.synonyms(result.legend.scheme)
        return make_annotators(names, keys=keys, catalogue=self.catalogue(), synonyms=synonyms, live=live)

    def _build_exhibits(self, run_id: str, style: str, state: int) -> Mapping[int, Exhibit]:  # noqa: ARG002 - to build anew
        result = self.open_run(run_id)
        return build_exhibits(result.clusters, self.scene(run_id), result.cards, style=style)


def _questions(
    result: RunResult,
    chosen: Sequence[Annotator],
    exhibits: Mapping[int, Exhibit],
    *,
    only: Mapping[int, tuple[str, ...]] | None = None,
    turn: int = 1,
) -> list[tuple[Annotator, Question]]:
    """Every question of a run, or those about some clusters with what was said of them before."""
    return questions_for(
        chosen,
        result.cards,
        scheme=result.legend.scheme,
        exhibits=exhibits,
        seed=result.settings.seed,
        only=only,
        earlier=only,
        turn=turn,
    )


def _said(answer: Answer) -> dict[str, object]:
    """What tells an answer from another by the same annotator, whenever it was given."""
    return answer.model_dump(exclude={"prompt", "answered"})


def _overall(result: RunResult) -> float | None:
    return result.agreement.overall if result.agreement is not None else None
