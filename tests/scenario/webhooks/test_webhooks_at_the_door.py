"""Webhooks of others at the door: each scheme over HTTP, repetitions, and what is told to who has no key."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from assembled import Assembled, assembled

from mainstay import Dto, Entity, Module, Principal, RawBody, Repository, Service, anyone
from mainstay.model.signature_schemes import standard_signature

KEY = b"what both of them know"
TOML = """[database]
url = "sqlite:///hooks.sqlite"
create = true
[secrets]
key = "what both of them know"
"""


class Taken(Entity):
    sender: str
    text: str


class Event(Dto, unknown="ignore"):
    type: str


def hooks() -> Service:
    module = Module("hooks")

    @module.webhook("/hooks/stripe", scheme="stripe", secret="key")
    async def stripe(event: Event, who: Principal, rows: Repository[Taken]) -> None:
        await rows.add(Taken(sender=who.subject, text=event.type))

    @module.webhook("/hooks/github", scheme="github", secret="key")
    async def github(body: RawBody, who: Principal, rows: Repository[Taken]) -> None:
        await rows.add(Taken(sender=who.subject, text=body.decode()))

    @module.webhook("/hooks/slack", scheme="slack", secret=["key", "next"])
    async def slack(body: RawBody, who: Principal, rows: Repository[Taken]) -> str:
        await rows.add(Taken(sender=who.subject, text=body.decode()))
        return "heard"

    @module.webhook("/hooks/other", secret="key", status=202)
    async def other(body: RawBody, who: Principal, rows: Repository[Taken]) -> None:
        await rows.add(Taken(sender=who.subject, text=body.decode()))

    @module.query("GET /taken", allow=anyone)
    async def taken(rows: Repository[Taken]) -> list[str]:
        return [f"{row.sender}: {row.text}" async for row in rows.stream()]

    return Service("hooks", modules=[module])


def headers_of(name: str, body: bytes, *, key: bytes = KEY, at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))

    def mac(prefix: str) -> str:
        return hmac.digest(key, prefix.encode() + body, "sha256").hex()

    made = {
        "stripe": {"Stripe-Signature": f"t={stamp},v1={mac(stamp + '.')}"},
        "github": {"X-Hub-Signature-256": "sha256=" + mac(""), "X-GitHub-Delivery": "72d3162e"},
        "slack": {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + mac(f"v0:{stamp}:")},
        "other": {
            "webhook-id": "m-1",
            "webhook-timestamp": stamp,
            "webhook-signature": standard_signature(key, "m-1", stamp, body),
        },
    }
    return {"content-type": "application/json", **made[name]}


BODIES = {
    "stripe": b'{ "id": "evt_1",  "type": "paid", "pending_webhooks": 1 }',
    "github": b'{"zen":  "Keep it logically awesome."}\n',
    "slack": b"token=x&command=%2Fweather",
    "other": b"\x00\xff no text at all",
}
TOLD = {"stripe": "paid", "github": BODIES["github"].decode(), "slack": BODIES["slack"].decode()}
NAMES = ["stripe", "github", "slack"]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Assembled]:
    async with assembled(hooks(), tmp_path, TOML) as running:
        yield running


async def post(door: Assembled, name: str, body: bytes | None = None, **signed: Any) -> httpx2.Response:
    sent = BODIES[name] if body is None else body
    return await door.http.post(f"/hooks/{name}", content=sent, headers=headers_of(name, sent, **signed))


async def taken(door: Assembled) -> list[str]:
    found: list[str] = (await door.http.get("/taken")).json()
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_a_signed_body_is_taken_as_it_came_and_once(door: Assembled, name: str) -> None:
    answers = [await post(door, name) for _ in range(3)]
    assert [answer.is_success for answer in answers] == [True, True, True]
    assert [(answer.status_code, answer.content) for answer in answers[1:]] == [(200, b"")] * 2
    assert await taken(door) == [f"webhook:{name}: {TOLD[name]}"]


async def test_a_repetition_with_a_new_time_is_the_same_message(door: Assembled) -> None:
    now = time.time()
    for body in (BODIES["stripe"], BODIES["stripe"].replace(b'"pending_webhooks": 1', b'"pending_webhooks": 0')):
        for at in (now - 60, now):
            assert (await post(door, "stripe", body, at=at)).is_success
    assert len(await taken(door)) == 1


async def test_an_id_that_is_not_signed_lets_no_copy_in(door: Assembled) -> None:
    headers = headers_of("github", BODIES["github"])
    for delivery in ("1", "2", "3"):
        sent = await door.http.post(
            "/hooks/github", content=BODIES["github"], headers={**headers, "X-GitHub-Delivery": delivery}
        )
        assert sent.is_success
    assert len(await taken(door)) == 1


async def test_who_has_no_key_is_told_the_same_whatever_was_wrong(door: Assembled) -> None:
    answers = []
    for name in NAMES:
        good = headers_of(name, BODIES[name])
        answers += [
            await door.http.post(f"/hooks/{name}", content=BODIES[name], headers={"content-type": "application/json"}),
            await door.http.post(f"/hooks/{name}", content=BODIES[name] + b" ", headers=good),
            await post(door, name, key=b"another"),
            await post(door, name, b"{not json", key=b"another"),
        ]
    answers.append(await post(door, "stripe", at=time.time() - 301))
    told = {(answer.status_code, *map(answer.json().get, ("code", "detail", "faults", "hint"))) for answer in answers}
    assert told == {(401, "signature_invalid", "The body's signature is missing, too old or wrong", None, None)}
    assert await taken(door) == []


async def test_a_body_that_is_too_long_is_refused_before_it_is_checked(door: Assembled) -> None:
    assert (await post(door, "github", b"x" * (1024 * 1024 + 1))).status_code == 413


async def test_a_signed_body_that_cannot_be_understood_is_told_so(door: Assembled) -> None:
    assert (await post(door, "stripe", b'{"id": "evt_1", "type": 5}')).status_code == 422


async def test_the_contract_says_how_each_is_signed(door: Assembled) -> None:
    document = (await door.http.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    named = {name: scheme["name"] for name, scheme in schemes.items() if name.startswith("signature")}
    assert named == {
        "signature": "webhook-signature",
        "signature-github": "x-hub-signature-256",
        "signature-slack": "x-slack-signature",
        "signature-stripe": "stripe-signature",
    }
    operation = document["paths"]["/hooks/stripe"]["post"]
    assert operation["security"] == [{"signature-stripe": []}]
    assert "7 days" in operation["description"]
    refused = operation["responses"]["401"]["content"]["application/problem+json"]
    assert "signature_invalid" in str(refused)
