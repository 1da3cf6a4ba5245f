"""Signing in through a real OpenID Connect provider on this machine: who is listed writes, everybody else reads."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import running_app
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import expect
from running_app import IN_A_BROWSER
from visitor import IDLE

from benchmarks.screenshots import free_port
from s2dash.export.scene import write_scene
from s2dash.pipeline import RunSettings
from s2dash.sources.request import SceneRequest
from s2dash.testing import make_patchwork
from s2dash.workspace import Workspace

CLIENT, CLIENT_SECRET = "s2dash-test", "only-for-this-test"
PEOPLE = {
    "Ada Lovelace": {"sub": "1", "email": "ada@example.org", "email_verified": True},
    "Ben Okri": {"sub": "2", "email": "ben@example.org", "email_verified": True},
    "Mallory": {"sub": "3", "email": "ada@example.org", "email_verified": False},
}

pytestmark = IN_A_BROWSER


# ---- a provider


class Provider(ThreadingHTTPServer):
    """A small OpenID Connect provider: discovery, authorization code with PKCE, RS256, and its keys."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
        self.redirect = ""
        self.codes: dict[str, dict[str, str]] = {}


class Answering(BaseHTTPRequestHandler):
    """One request to the provider."""

    server: Provider

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, self.asked(urlsplit(self.path).query)
        if path == "/.well-known/openid-configuration":
            at = self.server.address
            self.answer(
                {
                    "issuer": at,
                    "authorization_endpoint": f"{at}/authorize",
                    "token_endpoint": f"{at}/token",
                    "jwks_uri": f"{at}/jwks",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        elif path == "/jwks":
            self.answer({"keys": [self.server.key.as_dict(private=False)]})
        elif path == "/authorize":
            assert asked["client_id"] == CLIENT
            assert asked["redirect_uri"] == self.server.redirect
            assert "openid" in asked["scope"].split()
            links = (f'<p><a href="/approve?{urlencode({**asked, "who": who})}">{who}</a></p>' for who in PEOPLE)
            self.page("<h1>Who are you?</h1>" + "".join(links))
        elif path == "/approve":
            code = secrets.token_urlsafe()
            self.server.codes[code] = asked
            back = urlencode({"code": code, "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{self.server.redirect}?{back}")
            self.end_headers()
        else:
            self.page(f"<h1>Not here: {html.escape(path)}</h1>", status=404)

    def do_POST(self) -> None:
        given = self.asked(self.rfile.read(int(self.headers["Content-Length"])).decode())
        basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        known = self.headers.get("Authorization") == f"Basic {basic}" or given.get("client_secret") == CLIENT_SECRET
        asked = self.server.codes.pop(given.get("code", ""), None)  # a code is good once
        proof = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if not known or asked is None or asked["code_challenge"] != proof.decode().rstrip("="):
            self.answer({"error": "invalid_grant"}, status=400)
            return
        now = int(time.time())
        claims = {
            "iss": self.server.address,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "name": asked["who"],
            **PEOPLE[asked["who"]],
        }
        token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self.server.key)
        self.answer({"access_token": "none", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def asked(self, query: str) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(query).items()}

    def answer(self, content: object, status: int = 200) -> None:
        self.send(json.dumps(content).encode(), "application/json", status)

    def page(self, body: str, status: int = 200) -> None:
        self.send(f"<!doctype html><title>Provider</title>{body}".encode(), "text/html; charset=utf-8", status)

    def send(self, body: bytes, kind: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


# ---- the app


@contextmanager
def serve(workspace: Path, provider: Provider) -> Iterator[str]:
    """The app with a file of secrets that sends people to the provider."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    provider.redirect = f"{address}/oauth2callback"
    kept = workspace.with_suffix(".toml")
    kept.write_text(
        f"""
        [auth]
        redirect_uri = "{provider.redirect}"
        cookie_secret = "{secrets.token_hex(16)}"
        client_id = "{CLIENT}"
        client_secret = "{CLIENT_SECRET}"
        server_metadata_url = "{provider.address}/.well-known/openid-configuration"
        [s2dash]
        writers = ["Ada@Example.org"]
        """
    )
    with running_app.serve(workspace, port=port, options=(f"--secrets.files={kept}",)) as found:
        yield found


def labels(page: Any) -> None:
    """To the page of labels, by the side bar."""
    page.get_by_test_id("stSidebar").get_by_role("link", name="Labels").click()
    page.wait_for_selector("h5")


def accept(page: Any) -> Any:
    return page.get_by_role("button", name="Accept").first


def sign_in(page: Any, who: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=who, exact=True).click()
    page.get_by_text(f"Signed in as {who}").wait_for(timeout=30_000)


def test_who_is_listed_writes_in_their_own_name_and_everybody_reads(
    tmp_path: Path, provider: Provider, chromium: Any
) -> None:
    space = Workspace.open(tmp_path / "workspace")
    space.store.set_setting("dashboard.demo", "made before")
    scene, _ = make_patchwork(side=48)
    write_scene(scene, tmp_path / "stripes.tif")
    run = space.start(SceneRequest(str(tmp_path / "stripes.tif")), RunSettings(k=4, sample=10_000))
    with serve(tmp_path / "workspace", provider) as address:
        page = chromium.new_context(locale="en-US").new_page()
        page.goto(f"{address}/labels?run={run}")
        page.wait_for_selector("h5")
        page.get_by_text("To change something, sign in first").first.wait_for()
        expect(accept(page)).to_be_disabled()

        sign_in(page, "Ada Lovelace")
        page.wait_for_selector("h5")  # back where she was, not on the first page
        expect(page).to_have_url(re.compile(rf"/labels\?.*run={run}"))
        page.wait_for_timeout(500)
        page.wait_for_function(IDLE)  # a click into a page that is still being drawn may be lost
        accept(page).click()
        page.get_by_text("Set by Ada Lovelace (ada@example.org)").wait_for()
        (event,) = space.store.events(run)
        assert (event.kind, event.who) == ("override", "Ada Lovelace (ada@example.org)")
        page.get_by_test_id("stSidebar").get_by_role("button", name="Sign out").click()
        page.get_by_test_id("stSidebar").get_by_role("button", name="Sign in").wait_for(timeout=30_000)
        expect(page.locator("h1")).to_contain_text("Area & imagery")
        labels(page)
        expect(accept(page)).to_be_disabled()

        for who in ("Ben Okri", "Mallory"):  # not listed; and an address that is, but that nobody verified
            other = chromium.new_context(locale="en-US").new_page()
            other.goto(address)
            sign_in(other, who)
            labels(other)
            other.get_by_text("your address is not among those who may change it").first.wait_for()
            expect(accept(other)).to_be_disabled()
        assert len(space.store.events(run)) == 1
    space.store.close()
