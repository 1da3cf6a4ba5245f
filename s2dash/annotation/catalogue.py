"""The catalogue of models: who serves them, what they cost, how much they take at once; entries can be added."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from s2dash.annotation.keys import KEY_NAME
from s2dash.annotation.picture_tokens import PictureTokens
from s2dash.annotation.provider import Usage
from s2dash.errors import CatalogueError

ProviderKind = Literal["claude", "gpt", "gemini", "open"]
"""Whose SDK asks: Anthropic's, OpenAI's (responses), Google's, or OpenAI's (chat completions) at any address."""
OWN_MODELS = "S2DASH_MODELS"
"""Environment variable that names a person's own catalogue."""
RESERVED = frozenset({"rules", "replay", "recorded", "person", "you"})
"""Names of annotators that are no model to be asked."""

_NO_THOUGHT = frozenset({"none", "minimal"})
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
_Price = Annotated[float, Field(ge=0.0, le=100_000.0, allow_inf_nan=False)]


class PriceChange(BaseModel):
    """Prices that hold from a day on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: date
    """First day of these prices."""
    input_price: _Price
    """US dollars for a million tokens sent."""
    output_price: _Price
    """US dollars for a million tokens received."""


class ModelEntry(BaseModel):
    """One model that can be asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Name
    """How it is chosen: `claude`, `gpt`, …"""
    title: str = Field(min_length=1, max_length=80)
    """For the person."""
    provider: ProviderKind
    """Whose SDK asks."""
    model: str = Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")
    """The provider's id of the model."""
    address: str
    """Where the service is: `https://…`; `http://` only on this machine or for open models."""
    key_name: tuple[str, ...] = ()
    """Environment variables that may hold the key, the first that is set counts."""
    key_required: bool = True
    """Whether nothing is answered without a key."""
    input_price: _Price
    """US dollars for a million tokens sent."""
    output_price: _Price
    """US dollars for a million tokens received, thinking included."""
    priced: date | None = None
    """When id and prices were looked up; None is "unchecked"."""
    price_changes: tuple[PriceChange, ...] = ()
    """Announced changes of the prices."""
    limit: int = Field(default=4, ge=1, le=64)
    """Calls at once."""
    max_side_px: int = Field(default=1568, ge=128, le=8000)
    """Longest side of the pictures sent; larger ones are shrunk before."""
    max_tokens: int = Field(default=1500, ge=64, le=20_000)
    """Most tokens of a reply, thinking included."""
    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    """Seconds after which a call is given up."""
    effort: Literal["", "none", "minimal", "low", "medium", "high"] = ""
    """How long the model may think, in the provider's words; empty leaves it to the provider."""
    picture_tokens: PictureTokens
    """What a picture costs."""
    note: str = Field(default="", max_length=300)
    """What else a person should know."""

    @field_validator("key_name", mode="before")
    @classmethod
    def _several_names(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("key_name")
    @classmethod
    def _names_of_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not KEY_NAME.fullmatch(name):
                # The value is not shown: a person who mistakes the field writes the key itself into it.
                raise ValueError("has to be the name of an environment variable such as MY_SERVICE_KEY, never the key")
        return value

    @model_validator(mode="after")
    def _sound(self) -> ModelEntry:
        if self.name in RESERVED:
            raise ValueError(f"the name {self.name!r} is taken")
        parts = urlsplit(self.address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("address has to be a web address such as https://api.example.org/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("address must hold no user, password or query; keys come from the environment")
        if parts.scheme == "http" and self.provider != "open" and not self.local:
            raise ValueError("address has to begin with https://, or the key would travel unprotected")
        if self.effort and (self.provider == "open" or (self.provider == "claude" and self.effort in _NO_THOUGHT)):
            raise ValueError(f"effort = {self.effort!r} is nothing that the provider {self.provider!r} takes")
        if not self.key_required and self.provider != "open":
            raise ValueError(
                "key_required = false is for open models only: this provider answers nothing without a key"
            )
        if self.key_required and not self.key_name:
            raise ValueError("key_name is missing, or key_required = false")
        return self

    @property
    def local(self) -> bool:
        """Whether the service is on this machine, so that nothing leaves it."""
        host = urlsplit(self.address).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def host(self) -> str:
        """Where pictures and questions go, for the person."""
        return urlsplit(self.address).netloc

    @property
    def free(self) -> bool:
        """Whether no price is known or asked."""
        prices = [(self.input_price, self.output_price)]
        return not any(map(sum, [*prices, *((one.input_price, one.output_price) for one in self.price_changes)]))

    def prices(self, *, on: date | None = None) -> tuple[float, float]:
        """US dollars for a million tokens sent and received.

        Args:
            on: The day; today by default.
        """
        day = on or date.today()
        now = self.input_price, self.output_price
        for change in sorted(self.price_changes, key=lambda one: one.since):
            if change.since <= day:
                now = change.input_price, change.output_price
        return now

    def price(self, usage: Usage, *, on: date | None = None) -> Usage:
        """A usage with its price, (tokens in × price in + tokens out × price out) / 10⁶.

        Args:
            usage: Tokens, as the service counted or as they are estimated.
            on: The day; today by default.
        """
        given, got = self.prices(on=on)
        dollars = (usage.input_tokens * given + usage.output_tokens * got) / 1e6
        return usage.model_copy(update={"dollars": dollars})

    def tokens_of_picture(self, width: int, height: int) -> int:
        """What a picture of this size, px, costs in tokens once it is shrunk to `max_side_px`; an estimate."""
        wide, high = shrunk_size(width, height, self.max_side_px)
        return self.picture_tokens.count(wide, high)

    @property
    def price_words(self) -> str:
        """The prices in words, with the day they were looked up."""
        given, got = self.prices()
        when = "unchecked" if self.priced is None else f"looked up {self.priced:%Y-%m-%d}"
        if self.local and not given + got:
            return "no price, runs on this machine"
        return f"${given:g} in, ${got:g} out per million tokens ({when})"


def shrunk_size(width: int, height: int, most: int) -> tuple[int, int]:
    """Size of a picture whose longest side is at most `most`, px; proportions stay, no side vanishes."""
    longest = max(width, height)
    if longest <= most:
        return width, height
    return max(1, round(width * most / longest)), max(1, round(height * most / longest))


def load_catalogue(*, extra: Path | None = None) -> Mapping[str, ModelEntry]:
    """The models that can be asked, by name.

    Args:
        extra: A person's own TOML file of the same form, `[models.NAME]`; by default what `S2DASH_MODELS` names. A
            name that is known changes the fields it gives; a new name needs all that has no default.

    Raises:
        CatalogueError: If a file cannot be read; the text names file, entry and field.
    """
    named = extra or os.environ.get(OWN_MODELS)
    if not named:
        return _own()
    path = Path(named)
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"The catalogue {path} cannot be read: {type(error).__name__}. Choose another file."
        ) from None
    known = {name: entry.model_dump(exclude={"name"}) for name, entry in _own().items()}
    rows = _rows(text, str(path))
    merged = {name: {**_kept(known.get(name, {}), row), **row} for name, row in rows.items()}
    return MappingProxyType({**_own(), **_entries(merged, str(path))})


def _kept(known: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What holds on of a known entry: a day of checking not for another model or price."""
    stale = {"priced", "price_changes"} if {"model", "input_price", "output_price"} & set(row) else set()
    return {field: value for field, value in known.items() if field not in stale}


@cache
def _own() -> Mapping[str, ModelEntry]:
    text = resources.files("s2dash.data").joinpath("models.toml").read_text("utf-8")
    return MappingProxyType(_entries(_rows(text, "models.toml"), "models.toml"))


def _rows(text: str, where: str) -> dict[str, dict[str, Any]]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"The catalogue {where} is no valid TOML: {error}. Correct it there.") from None
    rows = table.get("models")
    if (
        set(table) != {"models"}
        or not isinstance(rows, dict)
        or not all(isinstance(row, dict) for row in rows.values())
    ):
        raise CatalogueError(f"The catalogue {where} should hold tables [models.NAME] and nothing else.")
    return rows


def _entries(rows: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, ModelEntry]:
    entries: dict[str, ModelEntry] = {}
    for name, row in rows.items():
        try:
            if "name" in row:
                raise CatalogueError(
                    f"In {where}, the entry {name!r} has a field 'name'; the table's title is the name."
                )
            entries[name] = ModelEntry.model_validate({**row, "name": name})
        except ValidationError as error:
            # Values are left out of the text: somebody may have written a key into the wrong field.
            faults = [
                f"{'.'.join(map(str, one['loc'])) or 'the entry'}: {one['msg'].removeprefix('Value error, ')}"
                for one in error.errors(include_url=False, include_input=False, include_context=False)
            ]
            raise CatalogueError(f"In {where}, the entry {name[:60]!r} is not right: {'; '.join(faults)}.") from None
    return entries
