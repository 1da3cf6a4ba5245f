"""Any open model behind an OpenAI-compatible address: vLLM, Ollama, llama.cpp, LM Studio."""

from __future__ import annotations

from typing import Any

from s2dash.annotation.provider import ModelReply, ModelRequest, Stop, Usage
from s2dash.annotation.providers.faults import unreadable
from s2dash.annotation.providers.service import Service, as_address, bounded_text, counted, strict_schema, time_limits

_STOPS: dict[str, Stop] = {"stop": "end", "length": "length", "content_filter": "refusal"}
_NO_KEY = "none"
"""The SDK insists on a key; servers without keys ignore it."""


class OpenModel(Service):
    """OpenAI's SDK, chat completions.

    A server that refuses the schema is asked once more without it, within the same call: what it refused it did not
    compute, so nothing is paid twice, but the server counts two calls. From then on this object leaves the schema out;
    the question's text asks for the same form.
    """

    def _connect(self, key: str) -> None:
        from openai import Omit, OpenAI

        self._takes_schema = True
        self._client = OpenAI(
            api_key=key or _NO_KEY,
            base_url=self._entry.address,
            max_retries=0,
            http_client=self._http,
            # Names of an account at OpenAI are none of this server's business.
            default_headers={"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()},  # type: ignore[dict-item]
        )

    def _ask(self, request: ModelRequest, pictures: list[bytes]) -> ModelReply:
        from openai import BadRequestError, UnprocessableEntityError

        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": as_address(png)}} for png in pictures
        ]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": request.text}]}]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        if request.schema is None or not self._takes_schema:
            return self._read(self._create(request, messages))
        schema = {"name": "answer_form", "schema": strict_schema(request.schema), "strict": True}
        try:
            said = self._create(request, messages, response_format={"type": "json_schema", "json_schema": schema})
        except (BadRequestError, UnprocessableEntityError):
            said = self._create(request, messages)
            self._takes_schema = False
        return self._read(said)

    def _create(self, request: ModelRequest, messages: list[dict[str, Any]], **options: Any) -> Any:
        return self._client.chat.completions.create(
            model=request.model,
            messages=messages,  # type: ignore[arg-type]
            max_tokens=request.max_tokens,
            timeout=time_limits(request.timeout_s),
            **options,
        )

    def _read(self, said: Any) -> ModelReply:
        from openai.types.chat import ChatCompletion

        if not isinstance(said, ChatCompletion) or not said.choices:
            raise unreadable(self._entry)
        choice, usage = said.choices[0], said.usage
        refusal = getattr(choice.message, "refusal", None)
        return ModelReply(
            text=bounded_text(choice.message.content or refusal),
            usage=Usage(
                input_tokens=counted(usage.prompt_tokens if usage else None),
                output_tokens=counted(usage.completion_tokens if usage else None),
            ),
            model=said.model or "",
            stop="refusal" if refusal else _STOPS.get(choice.finish_reason or "", "other"),
        )
