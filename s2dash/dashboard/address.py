"""The dashboard's address: which run and page it names, and the link that opens the same view again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

KEPT = ("lang", "palette")
"""What stays in the address from page to page besides the run."""


@dataclass(frozen=True)
class RunChoice:
    """Which run is shown, and what the address has to do with it."""

    shown: str | None
    """The run; None where there is none."""
    unknown: bool
    """Whether the address names one that is not here."""
    write: bool
    """Whether the address is to name the run from now on."""


def choose_run(*, asked: str | None, written: str | None, shown: str | None, finished: Sequence[str]) -> RunChoice:
    """The run asked for in the address, else the one shown before, else the newest.

    Args:
        asked: What the address names.
        written: What this session wrote into it, or met there, last.
        shown: The run shown before.
        finished: Those that can be shown, the newest first.
    """
    unknown = False
    if asked is not None and asked != written:  # a link, or the browser's way back
        unknown = asked not in finished
        shown = shown if unknown else asked
    if shown not in finished:
        shown = next(iter(finished), None)
    # An address without a run, met again on the way back, stays: writing into it would cut the way off.
    write = shown is not None and asked != shown and (asked is not None or written != shown)
    return RunChoice(shown, unknown, write)


def page_asked(query: Mapping[str, str], *, pages: Collection[str], current: str, turned: str | None) -> str | None:
    """The page that a link names and that is not the current one; None where there is nothing to turn to.

    Args:
        query: The address's parameters.
        pages: Names of the pages.
        current: Name of the page that is shown.
        turned: What was turned to before in this session: going back to the link in the browser must not lead
            forward again.
    """
    asked = query.get("page")
    return asked if asked in pages and asked not in (current, turned) else None


def kept_parameters(query: Mapping[str, str], *, run: str | None) -> dict[str, str]:
    """The parameters with which another page is the same view of the same run."""
    named = {"run": run} if run else {}
    return named | {name: query[name] for name in KEPT if query.get(name)}


def permanent_link(url: str, *, path: str, parameters: Mapping[str, str | None]) -> str:
    """A link that opens the same view.

    Args:
        url: The page's address as the browser knows it, e.g. `https://example.org/s2dash/labels`.
        path: The last part of it that is the page's own, e.g. `labels`; empty for the first page.
        parameters: What the link says, in order; those without a value are left out.
    """
    parts = urlsplit(url)
    root = parts.path.rstrip("/")
    if path and root.endswith(f"/{path}"):
        root = root.removesuffix(path)
    root = root.rstrip("/") + "/"
    query = urlencode({name: value for name, value in parameters.items() if value})
    return urlunsplit((parts.scheme, parts.netloc, root if parts.netloc else "", query, ""))
