"""The catalogue of models: what comes with the package, and what a person adds."""

from __future__ import annotations

from datetime import date

import pytest

from s2dash.annotation.catalogue import ModelEntry, load_catalogue, shrunk_size
from s2dash.annotation.provider import Usage
from s2dash.errors import CatalogueError

OWN = """
[models.mine]
title = "My model"
provider = "open"
model = "mine-7b"
address = "http://192.168.1.5:8000/v1"
key_required = false
input_price = 0.0
output_price = 0.0
picture_tokens = { rule = "fixed", each = 500 }
"""


def test_every_kind_of_service_and_every_open_server_has_an_entry():
    entries = load_catalogue()
    assert {entry.provider for entry in entries.values()} == {"claude", "gpt", "gemini", "open"}
    assert {"claude", "gpt", "gemini", "qwen", "phi", "qwen-ollama", "llama-cpp", "lm-studio"} <= set(entries)
    assert all(name == entry.name for name, entry in entries.items())


def test_hosted_models_have_prices_with_a_day_and_local_ones_cost_nothing():
    for entry in load_catalogue().values():
        if entry.provider == "open":
            assert entry.local
            assert entry.free
            assert not entry.key_required
            assert "this machine" in entry.price_words
        else:
            assert not entry.local
            assert entry.address.startswith("https://")
            assert entry.key_required
            assert entry.input_price > 0
            assert entry.output_price > entry.input_price
            assert entry.priced is not None
            assert str(entry.priced) in entry.price_words


def test_a_price_follows_the_tokens_and_the_day():
    entry = load_catalogue()["gemini"]
    usage = Usage(input_tokens=2_000_000, output_tokens=1_000_000)
    assert entry.price(usage, on=date(2026, 12, 31)).dollars == pytest.approx(2 * 0.75 + 3.75)
    assert entry.price(usage, on=date(2027, 1, 1)).dollars == pytest.approx(2 * 1.5 + 7.5)
    assert entry.price(usage).input_tokens == usage.input_tokens


def test_a_picture_costs_what_is_sent_of_it():
    entry = load_catalogue()["qwen"]
    assert entry.tokens_of_picture(4096, 4096) == entry.tokens_of_picture(1024, 1024) == 37 * 37


@pytest.mark.parametrize(
    ("size", "most", "meant"),
    [((100, 50), 200, (100, 50)), ((2000, 1000), 1000, (1000, 500)), ((9000, 2), 900, (900, 1)), ((5, 5), 5, (5, 5))],
)
def test_shrinking_keeps_proportions(size, most, meant):
    assert shrunk_size(*size, most) == meant


def test_an_entry_of_ones_own_is_added(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    entries = load_catalogue(extra=tmp_path / "own.toml")
    assert set(entries) == {*load_catalogue(), "mine"}
    assert entries["mine"].host == "192.168.1.5:8000"
    assert not entries["mine"].local, "another machine is elsewhere"
    assert "unchecked" in entries["mine"].price_words


def test_a_known_entry_is_changed_field_by_field(tmp_path):
    (tmp_path / "own.toml").write_text('[models.claude]\nlimit = 2\n[models.gpt]\nmodel = "gpt-next"\n')
    entries, known = load_catalogue(extra=tmp_path / "own.toml"), load_catalogue()
    assert entries["claude"] == known["claude"].model_copy(update={"limit": 2})
    assert entries["gpt"].priced is None, "nobody looked up the price of another model"


GOOD = OWN.partition("]")[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models = 3", ["[models.NAME]"]),
        ("[model.x]\na = 1", ["[models.NAME]"]),
        ("[models.x", ["TOML"]),
        ("[models.x]\ntitle = 'X'", ["'x'", "provider", "model", "picture_tokens"]),
        (f"[models.Upper]{GOOD}", ["'Upper'", "name"]),
        (f"[models.rules]{GOOD}", ["'rules'", "taken"]),
        (f"[models.x]{GOOD}name = 'y'", ["'x'", "'name'"]),
        (f"[models.x]{GOOD}surprise = 1", ["'x'", "surprise"]),
        (f"[models.x]{GOOD}limit = 0", ["'x'", "limit"]),
        (f"[models.x]{GOOD}priced = 'soon'", ["'x'", "priced"]),
        (f"[models.x]{GOOD}effort = 'low'", ["'x'", "effort"]),
        (f"[models.x]{GOOD.replace('input_price = 0.0', 'input_price = nan')}", ["'x'", "input_price"]),
        (f"[models.x]{GOOD.replace('input_price = 0.0', 'input_price = -1')}", ["'x'", "input_price"]),
        (f"[models.x]{GOOD.replace('http://192', 'ftp://192')}", ["'x'", "address"]),
        (f"[models.x]{GOOD.replace('http://192', 'http://me:word@192')}", ["'x'", "password"]),
        (f"[models.x]{GOOD.replace('fixed', 'guess')}", ["'x'", "picture_tokens"]),
        (f"[models.x]{GOOD.replace('key_required = false', '')}", ["'x'", "key_name"]),
        ("[models.claude]\naddress = 'http://api.example.org'", ["'claude'", "https://"]),
        ("[models.claude]\neffort = 'none'", ["'claude'", "effort"]),
    ],
)
def test_a_wrong_file_is_refused_with_file_entry_and_field(tmp_path, text, words):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(extra=path)
    assert all(word in str(caught.value) for word in [str(path), *words])


def test_a_key_written_into_the_wrong_field_is_not_shown(tmp_path):
    path = tmp_path / "own.toml"
    for field in ("key_name", "limit", "address"):
        path.write_text(f'[models.claude]\n{field} = "sk-ant-verysecret123"\n')
        with pytest.raises(CatalogueError) as caught:
            load_catalogue(extra=path)
        assert "verysecret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_missing_or_unreadable_file_is_told(tmp_path):
    for name, content in (("none.toml", None), ("latin.toml", b"title = '\xff'")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(CatalogueError, match=name):
            load_catalogue(extra=tmp_path / name)


def test_the_catalogue_cannot_be_changed_by_mistake():
    with pytest.raises(TypeError):
        load_catalogue()["x"] = load_catalogue()["claude"]  # type: ignore[index]
    assert isinstance(load_catalogue()["claude"], ModelEntry)
