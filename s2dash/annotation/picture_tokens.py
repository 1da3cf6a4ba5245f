"""How many tokens a picture costs, one rule a family of models; estimates, because services change them."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Patches(_Rule):
    """A token for each square patch, after the service has shrunk what is too large for it.

    Claude: ⌈w/28⌉ × ⌈h/28⌉, long edge at most 2576 px and 4784 tokens from version 4.7, 1568 px and 1568 tokens before
    (platform.claude.com, "Vision"; w·h/750 of the page's older version is within 5 % of it from 700 px on). OpenAI:
    patches of 32 px times a factor of the model (developers.openai.com, "Images and vision"). Qwen2.5-VL: patches of
    14 px merged two by two, so 28 px (the model's preprocessor_config.json).
    """

    rule: Literal["patches"]
    """Name of the rule."""
    side: int = Field(ge=8, le=128)
    """Side of a patch, px."""
    most: int = Field(ge=1)
    """Most patches of a picture; larger ones are shrunk."""
    edge: int | None = Field(default=None, ge=64)
    """Longest edge, px; larger pictures are shrunk."""
    factor: float = Field(default=1.0, gt=0, le=20)
    """Tokens that a patch costs."""

    def count(self, width: int, height: int) -> int:
        """Tokens of a picture of this size, px."""
        shrink = 1.0 if self.edge is None else min(1.0, self.edge / max(width, height))
        wide, high = width * shrink, height * shrink
        shrink = min(1.0, sqrt(self.most * self.side**2 / (wide * high)))
        patches = ceil(wide * shrink / self.side) * ceil(high * shrink / self.side)
        return ceil(min(patches, self.most) * self.factor)


class Tiles(_Rule):
    """A base and so much for each tile of the picture.

    OpenAI before GPT-5.4: fit into 2048 × 2048, shrink the short side to 768, then 512 px tiles; 85 + 170 a tile for
    GPT-4o, 70 + 140 for GPT-5 (developers.openai.com, "Images and vision"). Gemini 2: 258 a 768 px tile, 258 in all up
    to 384 px (ai.google.dev, "Understand and count tokens").
    """

    rule: Literal["tiles"]
    """Name of the rule."""
    side: int = Field(ge=64)
    """Side of a tile, px."""
    each: int = Field(ge=0)
    """Tokens of a tile."""
    base: int = Field(default=0, ge=0)
    """Tokens of every picture."""
    box: int | None = Field(default=None, ge=64)
    """The picture is shrunk to fit into a square of this side, px."""
    short: int | None = Field(default=None, ge=64)
    """Then its short side is shrunk to this, px."""
    single: int = Field(default=0, ge=0)
    """Up to this size, px, a picture is one tile."""

    def count(self, width: int, height: int) -> int:
        """Tokens of a picture of this size, px."""
        if max(width, height) <= self.single:
            return self.base + self.each
        shrink = 1.0 if self.box is None else min(1.0, self.box / max(width, height))
        if self.short is not None:
            shrink = min(shrink, self.short / min(width, height))
        # rounding: 1024 × 0.75 is 768 and one tile, not 768.0000001 and two
        wide, high = round(width * shrink, 6), round(height * shrink, 6)
        return self.base + self.each * ceil(wide / self.side) * ceil(high / self.side)


class Fixed(_Rule):
    """The same for every picture.

    Gemini 3: 1120 at the default, high resolution of a picture (ai.google.dev, "Media resolution").
    """

    rule: Literal["fixed"]
    """Name of the rule."""
    each: int = Field(ge=1)
    """Tokens of a picture."""

    def count(self, width: int, height: int) -> int:  # noqa: ARG002 - the rules are called alike
        """Tokens of a picture of any size."""
        return self.each


PictureTokens = Annotated[Patches | Tiles | Fixed, Field(discriminator="rule")]
"""Any of the rules."""
