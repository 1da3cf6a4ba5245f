"""What every service of vision-language models looks like from here, whatever its wire format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from s2dash.errors import ProviderError

Stop = Literal["end", "length", "refusal", "other"]
"""Why a model stopped: it was done, ran out of tokens, refused, or something else."""


class Usage(BaseModel):
    """Tokens that a service counted, and what they cost."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int = Field(default=0, ge=0)
    """Tokens sent, pictures included."""
    output_tokens: int = Field(default=0, ge=0)
    """Tokens received."""
    dollars: float = Field(default=0.0, ge=0.0)
    """Price by the catalogue, US dollars."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            dollars=self.dollars + other.dollars,
        )


@dataclass(frozen=True)
class ModelRequest:
    """One call."""

    model: str
    """Model id of the provider."""
    system: str
    """What the model is told before all else."""
    text: str
    """The question; stands after the pictures."""
    pictures: tuple[bytes, ...] = ()
    """PNG, in order."""
    schema: type[BaseModel] | None = None
    """Form of the answer, through the SDK's own structured output; None for plain text."""
    max_tokens: int = 1500
    """Most tokens of the reply."""
    timeout_s: float = 120.0
    """Seconds after which the call is given up."""


@dataclass(frozen=True)
class ModelReply:
    """What came back, before anybody believes it."""

    text: str
    """The reply as it came; JSON where the model kept to the form."""
    usage: Usage = field(default_factory=Usage)
    """As the service counted; dollars are filled in by the catalogue entry, not by the provider."""
    model: str = ""
    """Which model says it answered; empty where the service does not tell."""
    stop: Stop = "end"
    """Why it stopped."""


class Provider(Protocol):
    """A service that answers one call; safe to use from several threads."""

    def ask(self, request: ModelRequest) -> ModelReply:
        """Make one call, once: retries are the caller's.

        Raises:
            ProviderError: If no reply came; says whether and when to try again. Its text holds no key.
        """

    def close(self) -> None:
        """Give connections back."""


__all__ = ["ModelReply", "ModelRequest", "Provider", "ProviderError", "Stop", "Usage"]
