"""All services, driven through their real SDKs against servers on this machine."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from PIL import Image
from pydantic import BaseModel

from s2dash.annotation.catalogue import ModelEntry, load_catalogue
from s2dash.annotation.form import form_model, form_schema, read_form
from s2dash.annotation.keys import Keys
from s2dash.annotation.provider import ModelReply, ModelRequest
from s2dash.annotation.providers import make_provider
from s2dash.annotation.providers.service import LONGEST_TEXT, fitted, strict_schema
from s2dash.errors import MissingKeyError, ProviderError
from s2dash.schemes import load_scheme
from s2dash.testing_models import (
    ModelServer,
    Turn,
    answers,
    breaks_off,
    cuts,
    fails,
    first_class,
    hangs,
    refuses,
    says,
)

NAMES = {"claude": "claude", "gpt": "gpt", "gemini": "gemini", "open": "qwen"}
KINDS = list(NAMES)
SECRETS = {
    "ANTHROPIC_API_KEY": "sk-ant-SECRETsecret0001",
    "OPENAI_API_KEY": "sk-proj-SECRETsecret0002",
    "GEMINI_API_KEY": "AIzaSECRETsecret0003",
    "S2DASH_OPEN_MODEL_KEY": "local-SECRETsecret0004",
}
KEYS = Keys(SECRETS)
SCHEME = load_scheme("worldcover")
WAIT_S = 0.4


def png(width: int = 24, height: int = 16, *, mode: str = "RGB") -> bytes:
    written = io.BytesIO()
    noise = [Image.effect_noise((width, height), spread) for spread in (30, 60, 90)]
    Image.merge("RGB", noise).convert(mode).save(written, "PNG")
    return written.getvalue()


def entry_for(kind: str, address: str, **changes) -> ModelEntry:
    known = load_catalogue()[NAMES[kind]].model_dump()
    return ModelEntry.model_validate({**known, "address": address, **changes})


def request_for(entry: ModelEntry, *pictures: bytes, timeout_s: float = 20.0, schema=True) -> ModelRequest:
    return ModelRequest(
        model=entry.model,
        system="You look at satellite pictures.",
        text="What is it? Що це?",
        pictures=pictures,
        schema=form_model(SCHEME) if schema else None,
        max_tokens=777,
        timeout_s=timeout_s,
    )


def ask_once(kind: str, turn: Turn, *, timeout_s: float = 20.0, **changes) -> ModelReply:
    with ModelServer(kind, [turn]) as server:
        entry = entry_for(kind, server.address, **changes)
        with closing(make_provider(entry, keys=KEYS)) as provider:
            return provider.ask(request_for(entry, png(), timeout_s=timeout_s))


def failure(kind: str, turn: Turn, *, timeout_s: float = 20.0, **changes) -> ProviderError:
    """How a call fails; sees that no text of the failure holds a key or an SDK's error."""
    with pytest.raises(ProviderError) as caught:
        ask_once(kind, turn, timeout_s=timeout_s, **changes)
    error = caught.value
    assert "SECRET" not in str(error) + repr(error) + repr(error.args)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "\n" not in str(error)
    assert len(str(error)) < 600
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_over_the_wire(kind):
    pictures = png(), png(40, 30, mode="L")
    with ModelServer(kind) as server:
        entry = entry_for(kind, server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider:
            reply = provider.ask(request_for(entry, *pictures))
        (call,) = server.calls
    assert call.model == entry.model
    assert call.system == "You look at satellite pictures."
    assert call.text == "What is it? Що це?"
    assert call.order == ("picture", "picture", "text")
    assert call.pictures == pictures, "small pictures are sent byte for byte"
    assert call.key == KEYS.get(entry.key_name)
    assert call.schema is not None
    assert call.schema["properties"]["land_cover"]["enum"] == [*(cls.key for cls in SCHEME.classes), "unknown"]
    assert call.schema["required"] == list(form_schema()["properties"])
    assert call.schema["additionalProperties"] is False
    assert "temperature" not in str(call.body)
    assert "777" in str(call.body)
    form = read_form(reply.text)
    assert form.land_cover == "tree_cover"
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.dollars) == (1200, 80, 0)
    assert (reply.model, reply.stop) == (entry.model, "end")
    assert entry.price(reply.usage).dollars == pytest.approx((1200 * entry.prices()[0] + 80 * entry.prices()[1]) / 1e6)


def test_each_service_is_told_in_its_own_words():
    seen = {}
    for kind in KINDS:
        with ModelServer(kind) as server:
            entry = entry_for(kind, server.address)
            with closing(make_provider(entry, keys=KEYS)) as provider:
                provider.ask(request_for(entry, png()))
            seen[kind] = server.calls[0].body
    assert seen["claude"]["output_config"]["effort"] == "low"
    assert seen["claude"]["output_config"]["format"]["type"] == "json_schema"
    assert seen["gpt"]["store"] is False, "what is asked is not kept there"
    assert seen["gpt"]["text"]["format"]["strict"] is True
    assert seen["gpt"]["reasoning"] == {"effort": "low"}
    assert seen["gpt"]["input"][0]["content"][0]["detail"] == "high"
    assert seen["gemini"]["generationConfig"]["responseMimeType"] == "application/json"
    assert list(seen["gemini"]["generationConfig"]["thinkingConfig"].values()) == ["LOW"]
    assert seen["open"]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_form_plain_text_is_asked_for(kind):
    with ModelServer(kind, [says("Fields, I think.")]) as server:
        entry = entry_for(kind, server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider:
            assert provider.ask(request_for(entry, schema=False)).text == "Fields, I think."
        assert server.calls[0].schema is None
        assert server.calls[0].pictures == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("turn", "text", "stop"),
    [
        (says("not JSON at all"), "not JSON at all", "end"),
        (says('{"land_cover": "sea", "confidence": 2}'), '{"land_cover": "sea", "confidence": 2}', "end"),
        (says(""), "", "end"),
        (says("half \ud800 a letter"), "half ? a letter", "end"),
        (breaks_off(), '{"land_cover": "tree_co', "length"),
        (refuses("No."), "No.", "refusal"),
    ],
    ids=["no JSON", "off the list", "empty", "half a letter", "cut off", "refusal"],
)
def test_what_the_model_said_comes_back_as_it_was_with_its_price(kind, turn, text, stop):
    reply = ask_once(kind, turn)
    assert reply.text == ("" if kind == "gemini" and stop == "refusal" else text)
    assert reply.stop == stop
    assert reply.usage.input_tokens == 1200, "a reply that does not fit the form was paid for all the same"


@pytest.mark.parametrize("kind", KINDS)
def test_ten_megabytes_are_cut_and_say_so(kind):
    reply = ask_once(kind, says("x" * 10_000_000))
    assert LONGEST_TEXT < len(reply.text) < LONGEST_TEXT + 100
    assert reply.text.endswith("[cut here: the reply had 10000000 characters]")
    assert reply.usage.output_tokens == 80


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_passing_faults_are_to_be_tried_again(kind, status):
    error = failure(kind, fails(status, f"Overloaded, key was {' '.join(SECRETS.values())}", after="7"))
    assert error.again
    assert not error.fatal
    assert error.after_s == 7
    assert str(status) in str(error)
    assert "Overloaded" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pause_may_be_told_in_every_way(kind):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < failure(kind, fails(429, after=soon)).after_s <= 30
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert failure(kind, fails(429, after=past)).after_s == 0
    assert failure(kind, fails(429, headers={"retry-after-ms": "1500"})).after_s == 1.5
    for nonsense in ("soon", "-5", "nan", "inf", ""):
        assert failure(kind, fails(429, after=nonsense)).after_s is None


def test_gemini_tells_the_pause_in_its_own_way():
    raw = b"""{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}]}}"""
    assert failure("gemini", Turn(status=429, raw=raw)).after_s == 17.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "refused the key"), (403, "does not allow"), (404, "does not have the model"), (402, "no calls"),
     (307, "address"), (405, "address")],
)  # fmt: skip
def test_lasting_faults_end_all_calls(kind, status, words):
    said = fails(status, "no: sk-ant-SECR***0001", headers={"location": "http://127.0.0.1:9/elsewhere"})
    error = failure(kind, said)
    assert error.fatal
    assert not error.again
    assert words in str(error)
    if status in {401, 403}:
        assert "SECR" not in str(error), "not even a part of the key"


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_that_is_not_taken_ends_nothing_else(kind):
    with ModelServer(kind, otherwise=fails(400, "picture too large")) as server:
        entry = entry_for(kind, server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider, pytest.raises(ProviderError) as caught:
            provider.ask(request_for(entry, png()))
    assert not caught.value.again
    assert not caught.value.fatal
    assert "picture too large" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", ["API key not valid. AIzaSECR", "Your credit balance is too low"])
def test_an_account_that_cannot_pay_or_has_no_key_ends_all_calls(kind, message):
    with ModelServer(kind, otherwise=fails(400, message)) as server:
        entry = entry_for(kind, server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider, pytest.raises(ProviderError) as caught:
            provider.ask(request_for(entry, png()))
    assert caught.value.fatal
    assert "SECR" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_does_not_travel_on_to_another_address(kind):
    with ModelServer(kind) as elsewhere:
        error = failure(kind, fails(307, headers={"location": elsewhere.address}))
        assert "state 307" in str(error)
        assert elsewhere.calls == []


def test_an_empty_account_is_not_tried_again():
    raw = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota", "type": "x"}}'
    error = failure("gpt", Turn(status=429, raw=raw))
    assert error.fatal
    assert not error.again


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [0.0, 0.02, 0.6, 0.99])
def test_a_cut_connection_is_to_be_tried_again(kind, at):
    error = failure(kind, cuts(at))
    assert error.again
    assert not error.fatal
    assert "lost" in str(error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", [hangs(), answers(trickle_s=3.0)], ids=["hang", "trickle"])
def test_nothing_lasts_longer_than_it_may(kind, turn):
    started = time.monotonic()
    error = failure(kind, turn, timeout_s=WAIT_S)
    assert time.monotonic() - started < 6 * WAIT_S + 1
    assert error.again
    assert f"within {WAIT_S:g} s" in str(error)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "turn",
    [
        Turn(raw=b"<html>Please log in</html>", content_type="text/html"),
        Turn(raw=b"<html>Please log in</html>"),
        Turn(raw=b"{}"),
        Turn(raw=b'{"error": null, "choices": [], "content": null, "output": null, "candidates": []}'),
        Turn(raw=b"[1, 2]"),
        Turn(raw=b"null"),
        Turn(raw=b'{"choices": [{"message": '),
        Turn(raw=b""),
        Turn(raw=b"\xff\xfe\x00"),
    ],
    ids=lambda turn: repr(turn.raw)[:20],
)
def test_what_is_no_reply_of_such_a_service_is_not_asked_for_twice(kind, turn):
    error = failure(kind, turn)
    assert not error.again
    assert not error.fatal
    assert "address" in str(error)


def test_an_error_page_is_not_shown():
    error = failure("claude", Turn(status=502, raw=b"<html><b>Bad Gateway</b></html>", content_type="text/html"))
    assert error.again
    assert "<" not in str(error)


def test_a_response_without_end_is_left(monkeypatch):
    monkeypatch.setattr("s2dash.annotation.providers.service.LARGEST_BODY", 1_000_000)
    for kind in KINDS:
        assert "larger than" in str(failure(kind, says("x" * 3_000_000)))


def test_gpt_may_fail_within_a_good_response():
    head = '{"id": "r", "object": "response", "model": "m", "output": [], "status": "failed", "error": '
    for code, again in (("server_error", True), ("invalid_prompt", False)):
        raw = (head + f'{{"code": "{code}", "message": "no"}}}}').encode()
        error = failure("gpt", Turn(raw=raw))
        assert error.again is again
        assert code in str(error)


def test_gemini_thoughts_are_paid_for_and_left_out_and_a_blocked_question_is_a_refusal():
    raw = b"""{"candidates": [{"finishReason": "STOP", "content": {"role": "model", "parts": [
        {"text": "Hmm.", "thought": true}, {"text": "Fields."}]}}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 40}}"""
    reply = ask_once("gemini", Turn(raw=raw))
    assert reply.text == "Fields."
    assert reply.usage.output_tokens == 43
    blocked = b'{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 10}}'
    assert ask_once("gemini", Turn(raw=blocked)).stop == "refusal"


def test_an_open_server_that_takes_no_schema_is_asked_without_it_and_then_always():
    script = [fails(400, "response_format is not supported"), answers(), answers()]
    with ModelServer("open", script) as server:
        entry = entry_for("open", server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider:
            first, second = (provider.ask(request_for(entry, png())) for _ in range(2))
        assert [call.schema is None for call in server.calls] == [False, True, True]
    assert first.text == second.text
    assert first.usage.input_tokens == 1200, "what was refused was not computed"


def test_an_open_server_needs_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRETS["OPENAI_API_KEY"])
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-mine")
    with ModelServer("open") as server:
        entry = entry_for("open", server.address)
        with closing(make_provider(entry, keys=Keys())) as provider:
            provider.ask(request_for(entry, png()))
        (call,) = server.calls
    assert call.key == "none", "never the key of another service"
    assert "org-of-mine" not in str(call.headers)


@pytest.mark.parametrize("kind", ["claude", "gpt", "gemini"])
def test_a_missing_key_is_told_before_anything_is_sent(kind, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "somebody-else")
    entry = load_catalogue()[kind]
    with pytest.raises(MissingKeyError, match=entry.key_name[0]) as caught:
        make_provider(entry, keys=Keys())
    assert caught.value.fatal


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", ["two SECRET words", "SECRETключ", "SECRET\nline"])
def test_what_cannot_be_a_key_is_told_without_showing_it(kind, wrong):
    entry = load_catalogue()[NAMES[kind]]
    with pytest.raises(MissingKeyError) as caught:
        make_provider(entry, keys=Keys({entry.key_name[0]: wrong}))
    assert "SECRET" not in str(caught.value)
    assert entry.key_name[0] in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_proxies_nor_settings_of_the_environment_lead_calls_elsewhere(kind, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-google-key")
    assert ask_once(kind, answers()).stop == "end"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_told_at_once(kind):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    entry = entry_for(kind, f"http://127.0.0.1:{port}/v1")
    with closing(make_provider(entry, keys=KEYS)) as provider, pytest.raises(ProviderError) as caught:
        provider.ask(request_for(entry, png()))
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert caught.value.fatal


@pytest.mark.parametrize("kind", KINDS)
def test_no_log_and_no_text_holds_key_or_question(kind, caplog, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    monkeypatch.setenv("OPENAI_LOG", "debug")
    with ModelServer(kind, [answers(), fails(500), fails(401), cuts(), says("x")]) as server:
        entry = entry_for(kind, server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider, caplog.at_level(logging.DEBUG):
            for _ in range(5):
                try:
                    provider.ask(request_for(entry, png()))
                except ProviderError:
                    logging.getLogger("test").exception("failed")
        held = caplog.text + repr(provider) + str(provider) + repr(entry)
    assert "SECRET" not in held
    assert "What is it?" not in held
    assert "failed" in held, "the log was watched"


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_ask_at_once_and_each_gets_its_own_answer(kind):
    def form(call):
        return {**first_class(call), "term": call.text}

    with ModelServer(kind, otherwise=answers(form, latency_s=0.2)) as server:
        entry = entry_for(kind, server.address)
        got: dict[int, str] = {}
        with closing(make_provider(entry, keys=KEYS)) as provider:

            def ask(number: int) -> None:
                request = ModelRequest(entry.model, "", f"question {number}", (png(),), form_model(SCHEME))
                got[number] = read_form(provider.ask(request).text).term

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert got == {number: f"question {number}" for number in range(12)}
        assert len(server.calls) == 12, "no SDK asks again by itself"
        assert server.most_at_once > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_provider_says_so_and_may_be_closed_again(kind):
    with ModelServer(kind) as server:
        entry = entry_for(kind, server.address)
        provider = make_provider(entry, keys=KEYS)
        provider.close()
        provider.close()
        with pytest.raises(ProviderError):
            provider.ask(request_for(entry, png()))
        assert server.calls == []


def test_large_pictures_are_shrunk_and_small_ones_stay():
    small, large = png(100, 60), png(600, 200)
    assert fitted(small, 100) is small
    with Image.open(io.BytesIO(large)) as before, Image.open(io.BytesIO(fitted(large, 60))) as after:
        assert after.size == (60, 20)
        assert after.format == "PNG"
        there = {colour for _, colour in before.getcolors(1 << 24)}
        assert {colour for _, colour in after.getcolors(1 << 24)} <= there, "every pixel sent is one of the card"


def test_a_palette_picture_keeps_its_pixels():
    written = io.BytesIO()
    picture = Image.new("P", (40, 40), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.save(written, "PNG")
    with Image.open(io.BytesIO(fitted(written.getvalue(), 10))) as after:
        assert after.convert("RGB").getcolors() == [(100, (10, 200, 30))]


def test_what_is_no_picture_is_not_sent():
    with ModelServer("claude") as server:
        entry = entry_for("claude", server.address)
        with closing(make_provider(entry, keys=KEYS)) as provider, pytest.raises(ProviderError, match="no PNG"):
            provider.ask(request_for(entry, b"GIF89a"))
        assert server.calls == []


def test_a_schema_is_made_strict_and_a_field_called_title_stays():
    class Inner(BaseModel):
        title: str = "x"

    class Outer(BaseModel):
        inner: Inner
        default: int | None = None

    schema = strict_schema(Outer)
    assert schema["required"] == ["inner", "default"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Inner"] == {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "additionalProperties": False,
        "required": ["title"],
    }
