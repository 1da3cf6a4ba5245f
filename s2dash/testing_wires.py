"""The formats in which vision-language models are asked and answer, as their servers see them; for tests."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Wire = Literal["claude", "gpt", "gemini", "open"]
"""Whose format: Anthropic messages, OpenAI responses, Gemini generateContent, OpenAI chat completions."""
Stop = Literal["end", "length", "refusal"]
"""Why a model stops."""

_STOPS = {
    "claude": ("end_turn", "max_tokens", "refusal"),
    "gpt": ("completed", "incomplete", "completed"),
    "open": ("stop", "length", "content_filter"),
    "gemini": ("STOP", "MAX_TOKENS", "SAFETY"),
}


@dataclass(frozen=True)
class SeenCall:
    """A call as it came over the wire."""

    number: int
    """Which call of the server it was, from 1."""
    path: str
    """Path of the address, without the query."""
    headers: Mapping[str, str]
    """By the lower-case name."""
    body: Mapping[str, Any]
    """The JSON that was sent."""
    key: str
    """The key that was sent; empty for none."""
    model: str
    """Model id that was asked."""
    system: str
    """What the model was told before all else."""
    text: str
    """The question."""
    pictures: tuple[bytes, ...]
    """As they were sent, decoded."""
    order: tuple[str, ...]
    """`picture` and `text`, as they stood."""
    schema: Mapping[str, Any] | None
    """The schema that was sent for the answer; None where there was none."""
    started: float
    """When it came, monotonic clock, s."""


def seen_call(wire: Wire, number: int, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> SeenCall:
    """A call of any service, told alike.

    Args:
        wire: Whose format it is in.
        number: Which call of the server it is, from 1.
        path: Path of the address.
        headers: By the lower-case name.
        body: The JSON that was sent.
    """
    system, schema, model = "", None, str(body.get("model", ""))
    if wire == "gemini":
        model = path.removeprefix("/v1beta/models/").removesuffix(":generateContent")
        system = "".join(part.get("text", "") for part in body.get("systemInstruction", {}).get("parts", []))
        settings = body.get("generationConfig", {})
        schema = settings.get("responseSchema") or settings.get("responseJsonSchema")
        content = [part for one in body["contents"] for part in one["parts"]]
    elif wire == "claude":
        system = body.get("system", "")
        schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        content = body["messages"][0]["content"]
    elif wire == "gpt":
        system = body.get("instructions", "")
        schema = ((body.get("text") or {}).get("format") or {}).get("schema")
        content = body["input"][0]["content"]
    else:
        system = "".join(one["content"] for one in body["messages"] if one["role"] == "system")
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        content = next(one["content"] for one in body["messages"] if one["role"] == "user")
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return SeenCall(
        number=number,
        path=path,
        headers=headers,
        body=body,
        key=headers.get("x-api-key") or headers.get("x-goog-api-key") or bearer,
        model=model,
        system=system,
        text="".join(part.get("text", "") for part in content),
        pictures=tuple(_picture(part) for part in content if "text" not in part),
        order=tuple("text" if "text" in part else "picture" for part in content),
        schema=schema,
        started=time.monotonic(),
    )


def _picture(part: Mapping[str, Any]) -> bytes:
    """A picture of any format: Gemini's SDK writes urlsafe base64, OpenAI's a data address."""
    held = part.get("inlineData") or part.get("source") or part["image_url"]
    text = held if isinstance(held, str) else held.get("data") or held["url"]
    return base64.b64decode(text.rpartition(",")[2].replace("-", "+").replace("_", "/"), validate=True)


def spoken(
    wire: Wire, model: str, text: str, *, status: int = 200, stop: Stop = "end", tokens: tuple[int, int] = (1200, 80)
) -> dict[str, Any]:
    """What a service sends for what a model says, or for an error.

    Args:
        wire: Whose format.
        model: Who answers.
        text: What it says; of an error, the message.
        status: HTTP status; anything but 200 is an error.
        stop: Why the model stops.
        tokens: Tokens in and out that are reported.
    """
    given, got = tokens
    if status != 200:
        if wire == "claude":
            return {"type": "error", "error": {"type": "api_error", "message": text}}
        code: dict[str, Any] = {"code": status, "status": "UNAVAILABLE"} if wire == "gemini" else {"code": None}
        return {"error": {"message": text, **code}}
    said = _STOPS[wire][("end", "length", "refusal").index(stop)]
    refused = stop == "refusal"
    head: dict[str, Any] = {"id": "reply_1", "model": model}
    if wire == "claude":
        content = [{"type": "text", "text": text}] if text else []
        usage = {"input_tokens": given, "output_tokens": got}
        head |= {"type": "message", "role": "assistant", "stop_sequence": None}
        return {**head, "content": content, "stop_reason": said, "usage": usage}
    if wire == "gemini":
        candidate: dict[str, Any] = {"finishReason": said, "index": 0}
        if text and not refused:
            candidate["content"] = {"role": "model", "parts": [{"text": text}]}
        counted = {"promptTokenCount": given, "candidatesTokenCount": got, "totalTokenCount": given + got}
        return {"candidates": [candidate], "usageMetadata": counted, "modelVersion": model}
    if wire == "gpt":
        piece = {"type": "refusal", "refusal": text} if refused else {"type": "output_text", "text": text}
        message = {"type": "message", "id": "msg_1", "status": said, "role": "assistant"}
        output = [{**message, "content": [{**piece, "annotations": []}]}] if text else []
        why = {"reason": "max_output_tokens"} if stop == "length" else None
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": given, "output_tokens": got, "total_tokens": given + got}
        head |= {"object": "response", "created_at": 1, "error": None, "incomplete_details": why, "tools": []}
        return {**head, "status": said, "output": output, "usage": {**usage, **details}}
    told = {"role": "assistant", "content": None if refused else text, "refusal": text if refused else None}
    usage = {"prompt_tokens": given, "completion_tokens": got, "total_tokens": given + got}
    choice = {"index": 0, "finish_reason": said, "message": told, "logprobs": None}
    return {**head, "object": "chat.completion", "created": 1, "choices": [choice], "usage": usage}
