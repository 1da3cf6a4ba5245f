"""Who may write: what a provider says of a person, against who is listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from s2dash.dashboard.who import listed_writers, person_of, providers
from s2dash.errors import SignInError

ADA = {"is_logged_in": True, "name": "Ada Lovelace", "email": "Ada@Example.org"}


def test_without_a_sign_in_everybody_writes_under_the_name_they_type():
    person = person_of(None, writers=frozenset({"nobody@example.org"}), typed="  Ada ")
    assert (person.name, person.may_write, person.bar, person.signed_in) == ("Ada", True, "", False)
    assert person_of(None, writers=frozenset()).name == ""


def test_who_has_not_signed_in_reads_and_a_typed_name_does_not_help():
    for user in ({}, {"is_logged_in": False, **{k: v for k, v in ADA.items() if k != "is_logged_in"}}):
        person = person_of(user, writers=frozenset(), typed="Ada")
        assert (person.name, person.may_write, person.bar) == ("", False, "sign_in")


def test_who_is_listed_writes_under_name_and_address_whatever_the_case():
    person = person_of(ADA, writers=frozenset({"ada@example.org"}), typed="Somebody else")
    assert (person.name, person.may_write, person.bar) == ("Ada Lovelace (Ada@Example.org)", True, "")


def test_who_is_not_listed_reads():
    person = person_of(ADA, writers=frozenset({"ben@example.org"}))
    assert (person.may_write, person.bar, person.signed_in) == (False, "reader", True)


def test_an_empty_list_is_everybody_who_signed_in():
    assert person_of({"is_logged_in": True, "sub": "4711"}, writers=frozenset()).name == "4711"
    assert person_of({"is_logged_in": True, "sub": "4711"}, writers=frozenset()).may_write


@pytest.mark.parametrize("said", [False, "false", "False", 0])
def test_an_address_that_was_never_verified_lets_nobody_in(said):
    assert not person_of({**ADA, "email_verified": said}, writers=frozenset({"ada@example.org"})).may_write
    assert person_of({**ADA, "email_verified": True}, writers=frozenset({"ada@example.org"})).may_write


def test_a_name_does_not_pass_for_an_address_and_neither_does_nothing():
    writers = frozenset({"ada@example.org"})
    for claims in ({"name": "ada@example.org"}, {"email": ""}, {"email": ["ada@example.org"]}, {"email": None}):
        assert not person_of({"is_logged_in": True, **claims}, writers=writers).may_write


def test_a_name_over_several_lines_is_one_line():
    assert person_of({"is_logged_in": True, "name": "Ada\nroot"}, writers=frozenset()).name == "Ada root"


@given(some.dictionaries(some.sampled_from(["name", "email", "sub", "email_verified"]), some.text(max_size=12)))
def test_only_listed_addresses_ever_write(claims):
    writers = frozenset({"ada@example.org"})
    person = person_of({**claims, "is_logged_in": True}, writers=writers)
    if claims.get("email", "").strip().lower() != "ada@example.org":
        assert not person.may_write
    assert person.may_write == (person.bar == "")


def test_writers_come_from_secrets_and_environment_together():
    secrets = {"s2dash": {"writers": ["Ada@Example.org", " "]}}
    assert listed_writers(secrets, {}) == {"ada@example.org"}
    assert listed_writers(secrets, {"S2DASH_WRITERS": "ben@x.org, ,EVE@x.org"}) == {
        "ada@example.org",
        "ben@x.org",
        "eve@x.org",
    }
    assert listed_writers({"s2dash": {"writers": "a@b.org, c@d.org"}}, {}) == {"a@b.org", "c@d.org"}
    assert listed_writers({}, {}) == frozenset()


@pytest.mark.parametrize("wrong", [7, {"ada@example.org": True}, [1, 2], True])
def test_a_list_of_writers_that_is_none_is_refused_and_not_taken_for_everybody(wrong):
    with pytest.raises(SignInError, match="writers"):
        listed_writers({"s2dash": {"writers": wrong}}, {})


def test_every_configured_provider_gets_a_way_in():
    plain = {"redirect_uri": "x", "cookie_secret": "y"}
    assert providers({**plain, "client_id": "z"}) == (None,)
    assert providers({**plain, "google": {"client_id": "z"}, "okta": {"client_id": "z"}}) == ("google", "okta")
    assert providers({**plain, "client_id": "z", "okta": {"client_id": "z"}}) == (None, "okta")
    assert providers(plain) == (None,)  # Streamlit itself says what is missing
    assert providers({**plain, "client_id": "z", "client_kwargs": {"prompt": "login"}}) == (None,)
