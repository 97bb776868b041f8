"""One story of OAuth from end to end, with processes of its own: authlib's client against ``mainstay run``.

It finds everything by the document, logs an account in, acts for it, lives through a rotation of the signing keys,
refreshes, and gives back what it has: on both workers, and on record.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from httpx2 import HTTPStatusError
from identity_processes import PATIENCE, Heard, Processes, Wired, bearing, seconds_until
from joserfc import jwt
from joserfc.jwk import KeySet

BACK = "http://127.0.0.1/back"
PASSWORD = "a wet lantern hums"
SCOPES = ["openid", "email", "offline_access", "parcels:read"]
AT_ONCE = 10.0  # seconds: the machine may be busy; test_revocation_in_time.py holds it to the second that is promised
MORE = '[sessions]\nalgorithm = "ES256"\n'


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # it is plain http, on this machine
    with Processes(tmp_path, service="oauth_served:shop", more=MORE) as made:
        yield made


class Browser:
    """Somebody with an account, in a browser that keeps its session's cookie."""

    def __init__(self, processes: Processes, wire: Wired, email: str, *roles: str) -> None:
        named = [word for role in roles for word in ("--role", role)]
        made = processes.mainstay("accounts", "create", email, *named, "--password-stdin", stdin=f"{PASSWORD}\n")
        assert made.returncode == 0, made.stderr
        self.email = email
        self._wire = wire
        heard = wire.ask("POST", "/auth/log-in", {"email": email, "password": PASSWORD, "means": "cookie"})
        assert heard.status == 200, heard.body
        self._cookie = heard.cookie

    def heard(self, wire: Wired) -> Heard:
        """Return what a worker answers this person."""
        return wire.ask("GET", "/parcels", cookie=self._cookie)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        heard = self._wire.ask(method, path, body, cookie=self._cookie, sec_fetch_site="same-origin")
        assert heard.status < 300, heard.body
        return heard.body


def registered(boss: Browser) -> dict[str, str]:
    """Have an administrator register a client."""
    wanted = {"name": "Parcel tracker", "redirect_uris": [BACK], "scopes": SCOPES}
    made: dict[str, str] = boss.ask("POST", "/auth/oauth/clients", wanted)
    return made


def logged_in(client: OAuth2Client, document: dict[str, Any], person: Browser) -> dict[str, Any]:
    """Log in by the client: to the page, through what the page does, and back."""
    verifier = "v" * 64
    url, state = client.create_authorization_url(
        document["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
    )
    body = {"request": url.partition("?")[2], "approve": True}
    back = person.ask("POST", "/auth/oauth/authorizations", body)["location"]
    return patiently(
        lambda: client.fetch_token(
            document["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier
        )
    )


def patiently(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask again where the service is busy for a moment, as it asks of clients by Retry-After."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except HTTPStatusError as error:
            told = error.response
            if told.status_code != 503 or time.monotonic() > deadline:
                raise AssertionError(told.text) from error
            time.sleep(float(told.headers["retry-after"]))


def kid_of(token: str) -> str:
    """Return the id of the key that signed a token."""
    header: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return header["kid"]


def works(wires: list[Wired], token: str) -> list[int]:
    """Return what each worker answers to a token."""
    return [one.ask("GET", "/parcels-for-clients", **bearing(token)).status for one in wires]


def test_a_client_logs_in_lives_through_a_rotation_and_is_revoked(processes: Processes) -> None:
    wires = processes.workers(2)
    boss = Browser(processes, wires[0], "boss@shop.example", "admin")
    ann = Browser(processes, wires[1], "ann@shop.example")
    ann.ask("POST", "/parcels", {"what": "tea"})
    made = registered(boss)
    document = wires[0].ask("GET", "/.well-known/openid-configuration").body
    with OAuth2Client(
        made["client_id"],
        made["client_secret"],
        redirect_uri=BACK,
        scope=" ".join(SCOPES),
        code_challenge_method="S256",
    ) as client:
        token = logged_in(client, document, ann)
        check_reach(wires, token["access_token"])
        rotated(processes, wires)
        newer = patiently(lambda: client.refresh_token(document["token_endpoint"], token["refresh_token"]))
        check_keys(wires, token, newer, made["client_id"])
        gone = client.revoke_token(document["revocation_endpoint"], newer["refresh_token"])
        assert gone.status_code == 200
        check_ended(wires, [token["access_token"], newer["access_token"]])
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(document["token_endpoint"], newer["refresh_token"])
    events = boss.ask("GET", "/auth/security-events?limit=100")["items"]
    kinds = [one["kind"] for one in events if one["kind"].startswith("oauth.")]
    assert kinds == ["oauth.client_created", "oauth.consent", "oauth.grant_ended"]
    check_locked(processes, wires, ann)


def check_reach(wires: list[Wired], token: str) -> None:
    for wire in wires:
        heard = wire.ask("GET", "/parcels-for-clients", **bearing(token))
        assert (heard.status, heard.body) == (200, ["tea"])
        assert wire.ask("GET", "/parcels", **bearing(token)).status == 403
        assert wire.ask("GET", "/auth/sessions", **bearing(token)).status == 403


def rotated(processes: Processes, wires: list[Wired]) -> None:
    """Rotate the signing keys, and wait until each worker shows the new one."""
    done = processes.mainstay("--format", "json", "keys", "rotate", "--lead", "0")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + PATIENCE
    while any(len(one.ask("GET", "/auth/oauth/jwks").body["keys"]) < 2 for one in wires):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check_keys(wires: list[Wired], before: dict[str, Any], after: dict[str, Any], client: str) -> None:
    """See that tokens from before and after a rotation are good, by the document of either worker."""
    assert kid_of(before["access_token"]) != kid_of(after["access_token"])
    for wire in wires:
        assert works([wire], before["access_token"]) == works([wire], after["access_token"]) == [200]
        keys = KeySet.import_key_set(wire.ask("GET", "/auth/oauth/jwks").body)
        claims = jwt.decode(before["id_token"], keys, algorithms=["ES256"]).claims
        assert (claims["aud"], claims["nonce"]) == (client, "n-1")


def check_locked(processes: Processes, wires: list[Wired], person: Browser) -> None:
    """See that who is locked out at the command line is out on each worker."""
    done = processes.mainstay("accounts", "lock", person.email, "--reason", "lost a phone")
    assert done.returncode == 0, done.stderr
    since = time.monotonic()
    for wire in wires:
        assert seconds_until(lambda w=wire: person.heard(w), 401, since) < AT_ONCE


def check_ended(wires: list[Wired], tokens: list[str]) -> None:
    since = time.monotonic()
    for wire in wires:
        for token in tokens:
            took = seconds_until(lambda w=wire, t=token: w.ask("GET", "/parcels-for-clients", **bearing(t)), 401, since)
            assert took < AT_ONCE
