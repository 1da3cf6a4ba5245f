"""GPT, through OpenAI's responses."""

from __future__ import annotations

from typing import Any

from s2dash.annotation.provider import ModelReply, ModelRequest, ProviderError, Stop, Usage
from s2dash.annotation.providers.faults import unreadable
from s2dash.annotation.providers.service import Service, as_address, bounded_text, counted, strict_schema, time_limits


class GPT(Service):
    """OpenAI's SDK; what is asked is not kept on the service's side."""

    def _connect(self, key: str) -> None:
        from openai import OpenAI

        self._client = OpenAI(api_key=key, base_url=self._entry.address, max_retries=0, http_client=self._http)

    def _ask(self, request: ModelRequest, pictures: list[bytes]) -> ModelReply:
        from openai.types.responses import Response

        content: list[dict[str, Any]] = [
            {"type": "input_image", "image_url": as_address(png), "detail": "high"} for png in pictures
        ]
        options: dict[str, Any] = {}
        if request.schema is not None:
            schema = {"name": "answer_form", "schema": strict_schema(request.schema), "strict": True}
            options["text"] = {"format": {"type": "json_schema", **schema}}
        if self._entry.effort:
            options["reasoning"] = {"effort": self._entry.effort}
        if request.system:
            options["instructions"] = request.system
        asked: Any = [{"role": "user", "content": [*content, {"type": "input_text", "text": request.text}]}]
        said = self._client.responses.create(
            model=request.model,
            input=asked,
            max_output_tokens=request.max_tokens,
            store=False,
            timeout=time_limits(request.timeout_s),
            **options,
        )
        if not isinstance(said, Response) or not isinstance(said.output, list):
            raise unreadable(self._entry)
        if said.status == "failed":
            code = said.error.code if said.error else ""
            again = code in {"server_error", "rate_limit_exceeded"}
            raise ProviderError(f"{self._entry.title} could not answer ({code or 'no reason given'}).", again=again)
        parts = [part for item in said.output if item.type == "message" for part in item.content]
        text = "".join(part.text for part in parts if part.type == "output_text")
        refusal = "".join(part.refusal for part in parts if part.type == "refusal")
        usage = said.usage
        return ModelReply(
            text=bounded_text(text or refusal),
            usage=Usage(
                input_tokens=counted(usage.input_tokens if usage else None),
                output_tokens=counted(usage.output_tokens if usage else None),
            ),
            model=said.model or "",
            stop="refusal" if refusal else _stop(said),
        )


def _stop(said: Any) -> Stop:
    if said.status == "completed":
        return "end"
    reason = said.incomplete_details.reason if said.incomplete_details else None
    stops: dict[str, Stop] = {"max_output_tokens": "length", "content_filter": "refusal"}
    return stops.get(reason or "", "other")
