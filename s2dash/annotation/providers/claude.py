"""Claude, through Anthropic's messages."""

from __future__ import annotations

from typing import Any

from s2dash.annotation.provider import ModelReply, ModelRequest, Stop, Usage
from s2dash.annotation.providers.faults import unreadable
from s2dash.annotation.providers.service import Service, as_base64, bounded_text, counted, strict_schema, time_limits

_STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class Claude(Service):
    """Anthropic's SDK; pictures stand before the text, and no temperature is sent, which newer models refuse."""

    def _connect(self, key: str) -> None:
        from anthropic import Anthropic

        # open_telemetry: its spans would tell others of every call.
        self._client = Anthropic(
            api_key=key, base_url=self._entry.address, max_retries=0, http_client=self._http, open_telemetry=False
        )

    def _ask(self, request: ModelRequest, pictures: list[bytes]) -> ModelReply:
        from anthropic import transform_schema
        from anthropic.types import Message

        content: list[dict[str, Any]] = [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": as_base64(png)}}
            for png in pictures
        ]
        config: dict[str, Any] = {}
        if request.schema is not None:
            config["format"] = {"type": "json_schema", "schema": transform_schema(strict_schema(request.schema))}
        if self._entry.effort:
            config["effort"] = self._entry.effort
        options: dict[str, Any] = {"output_config": config} if config else {}
        if request.system:
            options["system"] = request.system
        asked: Any = [{"role": "user", "content": [*content, {"type": "text", "text": request.text}]}]
        said = self._client.messages.create(
            model=request.model,
            max_tokens=request.max_tokens,
            messages=asked,
            timeout=time_limits(request.timeout_s),
            **options,
        )
        if not isinstance(said, Message) or not isinstance(said.content, list):
            raise unreadable(self._entry)
        usage = said.usage
        return ModelReply(
            text=bounded_text("".join(block.text for block in said.content if block.type == "text")),
            usage=Usage(
                input_tokens=counted(
                    usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens
                ),
                output_tokens=counted(usage.output_tokens),
            ),
            model=said.model or "",
            stop=_STOPS.get(said.stop_reason or "", "other"),
        )
