"""An identity provider of somebody else: a small real server on loopback, whose tokens are signed by real keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import pytest
from joserfc.jwk import JWKRegistry

from mainstay.adapters.jose import Key, generate_key, load_pem, sign_claims

Answer = tuple[int, dict[str, str], bytes]

CLIENT = "shop-at-the-provider"
SECRET = "what only the shop knows: and a colon"
AUDIENCE = "shop"
KEYS = "/keys"
DISCOVERY = "/.well-known/openid-configuration"
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return status, {"content-type": "application/json", **(headers or {})}, json.dumps(value).encode()


class OutsideProvider:
    """An issuer that a test turns as it likes: ``answers`` stand in for its own, by path; ``gate`` holds keys back."""

    def __init__(self) -> None:
        self.issuer = ""
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.max_age = 3600
        self.person: dict[str, Any] = {
            "sub": "ann-there",
            "email": "ann@mail.example",
            "email_verified": True,
        }
        self.id_claims: dict[str, Any] = {}  # over those of an id token
        self.codes: dict[str, dict[str, str]] = {}
        self.published: list[dict[str, Any]] = []
        self.key: Key = self.rotate()

    def rotate(self, *, keep: int = 1, algorithm: Any = "ES256") -> Key:
        """Sign with a new key from now on, and publish it beside so many of those before."""
        number = len(self.published) + 1
        kid = f"key-{time.monotonic_ns()}-{number}"
        made = generate_key(algorithm)
        assert made.public is not None
        jwk = JWKRegistry.import_key(made.public, {"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA"}[algorithm])
        before = self.published[-keep:] if keep else []
        self.published = [*before, {**jwk.as_dict(private=False), "kid": kid, "use": "sig"}]
        self.key = load_pem(made.private, kid=kid)
        return self.key

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = time.time()
        usual = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ann", "iat": now - 10, "exp": now + 600}
        return {name: value for name, value in {**usual, **changes}.items() if value is not ...}

    def token(self, *, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> bytes:
        return sign_claims(key or self.key, self.claims(**changes), header=header).encode()

    def metadata(self, **changes: Any) -> dict[str, Any]:
        usual = {
            "issuer": self.issuer,
            "jwks_uri": self.issuer + KEYS,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not ...}

    async def _own(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        if path in (DISCOVERY, AUTHORIZATION_SERVER):
            return json_answer(self.metadata())
        if path == KEYS:
            await self.gate.wait()
            return json_answer({"keys": self.published}, headers={"cache-control": f"public, max-age={self.max_age}"})
        if path == "/token":
            return self._redeem(dict(parse_qsl(body.decode())), headers)
        return json_answer({}, 404)

    def consent(self, location: str) -> dict[str, str]:
        """Do what a person does who is sent here: log in, say yes; return what the browser is sent back with."""
        asked = dict(parse_qsl(urlsplit(location).query))
        assert location.startswith(self.issuer + "/authorize?")
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def _redeem(self, form: dict[str, str], headers: dict[str, str]) -> Answer:
        given = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        pair = (
            [unquote_plus(part) for part in given.split(":")]
            if given
            else [form.get("client_id"), form.get("client_secret")]
        )
        if pair != [CLIENT, SECRET]:
            return json_answer({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return json_answer({"error": "invalid_grant"}, 400)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return json_answer({"error": "invalid_grant"}, 400)
        about = {"aud": CLIENT, "nonce": asked["nonce"], **self.person, **self.id_claims}
        answer = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**about).decode()}
        return json_answer(answer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError:  # the client has left
            writer.close()
            return
        headers = dict((n.lower(), v) for n, _, v in (line.partition(": ") for line in head[1:] if line))
        path = urlsplit(head[0].split(" ")[1]).path
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked[path] += 1
        made = self.answers.get(path)
        status, fields, content = made() if made else await self._own(path, body, headers)
        lines = [f"HTTP/1.1 {status} said", f"content-length: {len(content)}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def query(self, **pairs: str) -> str:
        return urlencode(pairs)


@pytest.fixture
async def provider() -> AsyncIterator[OutsideProvider]:
    made = OutsideProvider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    made.gate.set()
    server.close()
    await server.wait_closed()
