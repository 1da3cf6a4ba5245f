"""What an annotator that looks is shown of one cluster: pictures, and what the eye cannot see in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256


@dataclass(frozen=True)
class ExhibitPicture:
    """One picture of an exhibit."""

    key: str
    """What it shows, as a file name would say it: `scene`, `cluster`, `closeup-1`, `infrared` …"""
    caption: str
    """What the question says of it; no colour word."""
    png: bytes
    """The picture, PNG, no alpha."""


@dataclass(frozen=True)
class Exhibit:
    """Pictures and figures of one cluster, as a model is shown them."""

    cluster: int
    """Cluster number; models are not told it."""
    style: str
    """Name and version of the card style, `numbers@1`."""
    pictures: tuple[ExhibitPicture, ...]
    """In the order they are shown; empty for a style of words only."""
    words: str = ""
    """Measured facts in plain words, several lines; no colour word."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that is shown, so that an answer is never asked for twice."""
        shown = sha256(self.style.encode())
        for picture in self.pictures:
            shown.update(sha256(picture.png).digest() + sha256(picture.caption.encode()).digest())
        shown.update(sha256(self.words.encode()).digest())
        return shown.hexdigest()
