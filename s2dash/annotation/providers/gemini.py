"""Gemini, through Google's generateContent."""

from __future__ import annotations

from typing import Any

from s2dash.annotation.provider import ModelReply, ModelRequest, Stop, Usage
from s2dash.annotation.providers.faults import unreadable
from s2dash.annotation.providers.service import Service, bounded_text, counted, strict_schema, trusted

_STOPS: dict[str, Stop] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "IMAGE_SAFETY": "refusal",
}


class Gemini(Service):
    """Google's SDK, with a key and never with the credentials of a cloud account that may lie about."""

    def _connect(self, key: str) -> None:
        from google import genai
        from google.genai import types

        options = types.HttpOptions(
            base_url=self._entry.address,
            api_version="v1beta",
            httpx_client=self._http,
            async_client_args={"verify": trusted()},  # never used, but made all the same
        )
        self._client = genai.Client(api_key=key, vertexai=False, http_options=options)

    def close(self) -> None:
        """Give connections back."""
        self._client.close()
        super().close()

    def _ask(self, request: ModelRequest, pictures: list[bytes]) -> ModelReply:
        from google.genai import types

        config: dict[str, Any] = {}
        if request.schema is not None:
            config = {"response_mime_type": "application/json", "response_json_schema": strict_schema(request.schema)}
        if self._entry.effort:
            level = "minimal" if self._entry.effort == "none" else self._entry.effort
            config["thinking_config"] = types.ThinkingConfig(thinking_level=types.ThinkingLevel(level.upper()))
        said = self._client.models.generate_content(
            model=request.model,
            contents=[
                types.Content(
                    role="user",
                    parts=[
                        *(types.Part.from_bytes(data=png, mime_type="image/png") for png in pictures),
                        types.Part.from_text(text=request.text),
                    ],
                )
            ],
            config=types.GenerateContentConfig(
                system_instruction=request.system or None,
                max_output_tokens=request.max_tokens,
                http_options=types.HttpOptions(timeout=max(1, round(request.timeout_s * 1000))),
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
                **config,
            ),
        )
        counts, blocked = said.usage_metadata, said.prompt_feedback
        if not said.candidates and blocked is None:
            raise unreadable(self._entry)
        first = said.candidates[0] if said.candidates else None
        parts = (first.content.parts if first and first.content else None) or []
        reason = first.finish_reason.value if first and first.finish_reason else ""
        return ModelReply(
            text=bounded_text("".join(part.text for part in parts if part.text and not part.thought)),
            usage=Usage(
                input_tokens=counted(counts.prompt_token_count if counts else None),
                output_tokens=counted(*(counts.candidates_token_count, counts.thoughts_token_count) if counts else ()),
            ),
            model=said.model_version or "",
            stop="refusal" if first is None else _STOPS.get(reason, "other"),
        )
