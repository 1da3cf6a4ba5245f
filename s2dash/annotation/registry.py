"""Which annotators there are: the offline rules, recorded answers, and the models of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from s2dash.annotation.answer import Annotator
from s2dash.annotation.catalogue import ModelEntry, load_catalogue
from s2dash.annotation.keys import Keys
from s2dash.annotation.model_annotator import ModelAnnotator
from s2dash.annotation.provider import ModelReply, ModelRequest
from s2dash.annotation.providers import make_provider
from s2dash.annotation.replay import ReplayAnnotator, load_recording, packaged_recordings
from s2dash.annotation.rules import RulesAnnotator
from s2dash.errors import AnnotationError, ProviderError
from s2dash.names import check_run_name

_MAKERS: dict[str, Callable[[], Annotator]] = {
    "rules": RulesAnnotator,
    "replay": lambda: ReplayAnnotator(*packaged_recordings(), name="replay"),
}
"""How annotators are made that cost nothing and send nothing: rules, and answers that were recorded for the demo."""
LOCAL = tuple(_MAKERS)
"""Their names."""


def annotator_names(*, catalogue: Mapping[str, ModelEntry] | None = None) -> tuple[str, ...]:
    """Names that `annotator` knows, those that need nothing first."""
    return (*_MAKERS, *(catalogue if catalogue is not None else load_catalogue()))


def is_local(name: str) -> bool:
    """Whether asking this annotator costs nothing and sends nothing."""
    return name in _MAKERS or _recording(name) is not None


def check_annotator(name: str, *, catalogue: Mapping[str, ModelEntry] | None = None) -> None:
    """See that there is an annotator of this name, whether or not its key is there.

    Raises:
        AnnotationError: If there is none; the text lists those there are.
    """
    names = annotator_names(catalogue=catalogue)
    if name not in names and _recording(name) is None:
        raise AnnotationError(
            f"There is no annotator {name!r}. Choose among: {', '.join(names)}, or name a file of recorded answers."
        )


def annotator(
    name: str,
    *,
    keys: Keys | None = None,
    catalogue: Mapping[str, ModelEntry] | None = None,
    synonyms: Mapping[str, int] | None = None,
    live: bool = True,
) -> Annotator:
    """The annotator of this name.

    Args:
        name: `rules`, `replay`, the name of a model in the catalogue, or the path of a file of recorded answers.
        keys: Of the services; by default those of the environment.
        catalogue: The models to choose from; by default those that come with the package.
        synonyms: More words → class code of the scheme, for reading replies.
        live: Whether it is to be asked; otherwise no key is needed, and what asking takes can be estimated.

    Raises:
        AnnotationError: If there is none; the text lists those there are.
        MissingKeyError: If its service needs a key and there is none.
    """
    check_annotator(name, catalogue=catalogue)
    if name in _MAKERS:
        return _MAKERS[name]()
    if (path := _recording(name)) is not None:
        return ReplayAnnotator(load_recording(path), name=path.stem)
    entry = (catalogue if catalogue is not None else load_catalogue())[name]
    known = keys or Keys.from_environment()
    if not live:
        return ModelAnnotator(entry, _Unplugged(), synonyms=synonyms)
    return ModelAnnotator(entry, make_provider(entry, keys=known), synonyms=synonyms, keys=known)


def check_annotator_name(name: str) -> str:
    """A name that somebody's answers can be kept under.

    Raises:
        UnsafeNameError: If it looks like a path or cannot be shown.
        AnnotationError: If it is that of an annotator which answers by itself.
    """
    checked = check_run_name(name)
    if checked.casefold() in LOCAL:
        raise AnnotationError(f"{checked!r} answers by itself, so nobody can answer in its name. Choose another name.")
    return checked


class _Unplugged:
    """Stands where a service would, for a model that is not to be asked."""

    def ask(self, request: ModelRequest) -> ModelReply:
        """Refuse."""
        raise ProviderError(f"{request.model} was only to be estimated and cannot be asked.", fatal=True)

    def close(self) -> None:
        """Do nothing."""


def _recording(name: str) -> Path | None:
    """The file of recorded answers that a name points at, if it does."""
    path = Path(name)
    return path if path.suffix == ".json" and path.is_file() else None
