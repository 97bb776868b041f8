"""Signed bodies: the Standard Webhooks scheme, its vector, and what is refused."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import msgspec
import pytest
from kernel_world import Build, World

from mainstay import Module, RawBody, Secret, signed
from mainstay.kernel.call import Reply
from mainstay.model.signature_schemes import TOLERANCE

KEY = b"a key of the shop and of its bank"
WRITTEN = "whsec_" + base64.b64encode(KEY).decode()
BODY = b'{"paid": true}'


def hooks() -> Module:
    module = Module("hooks")

    @module.command("POST /hooks/bank", allow=signed("standard-webhooks", secret="bank"))
    async def take(body: RawBody) -> int:
        return len(body)

    return module


def sign(stamp: str, *, key: bytes = KEY, message: str = "m-1", body: bytes = BODY) -> str:
    digest = hmac.digest(key, f"{message}.{stamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


async def send(world: World, signature: str | None = None, *, body: Any = BODY, **changes: str) -> Any:
    stamp = changes.pop("stamp", str(int(world.clock.time())))
    given = {"webhook-id": "m-1", "webhook-timestamp": stamp, "webhook-signature": signature or sign(stamp), **changes}
    return await world.send("take", body=body, headers=given.get)


def answer(outcome: Any) -> Any:
    return msgspec.json.decode(outcome.body) if isinstance(outcome, Reply) else outcome.code


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (WRITTEN, KEY),
        (Secret(WRITTEN), KEY),
        ("plain text", b"plain text"),
        ("whsec_no base64!", b"whsec_no base64!"),
    ],
)
async def test_a_body_with_its_signature_is_taken(build: Build, secret: Any, key: bytes) -> None:
    world = await build(hooks(), secrets={"bank": secret})
    stamp = str(int(world.clock.time()))
    assert answer(await send(world, sign(stamp, key=key))) == len(BODY)
    assert answer(await send(world, f"v1a,AAAA {sign(stamp, key=b'old')} {sign(stamp, key=key)}")) == len(BODY)


async def test_the_vector_of_the_specification(build: Build) -> None:
    world = await build(hooks(), secrets={"bank": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    stamp = 1614265330
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign(str(stamp), key=key, message="msg_p5jXN8AQM9LWM0D4loKWxJek", body=b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert answer(await send(world, made)) == "signature_invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b'{"paid": false}'},
        {"body": None},
        {"webhook-id": "m-2"},
        {"webhook-id": ""},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "\u0661"},
        {"webhook-timestamp": "9" * 13},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,\u00e4"},
        {"signature": sign("1767225600", key=b"another")},
    ],
)
async def test_what_is_not_signed_is_refused(build: Build, changes: dict[str, Any]) -> None:
    world = await build(hooks(), secrets={"bank": WRITTEN})
    assert int(world.clock.time()) == 1767225600
    assert answer(await send(world, changes.pop("signature", None), **changes)) == "signature_invalid"


@pytest.mark.parametrize(("shift", "taken"), [(0, True), (TOLERANCE, True), (-TOLERANCE, True), (TOLERANCE + 1, False)])
async def test_a_signature_is_good_for_a_time(build: Build, shift: float, taken: bool) -> None:
    world = await build(hooks(), secrets={"bank": WRITTEN})
    outcome = answer(await send(world, stamp=str(int(world.clock.time() - shift))))
    assert outcome == (len(BODY) if taken else "signature_invalid")


async def test_only_some_signatures_are_looked_at(build: Build) -> None:
    world = await build(hooks(), secrets={"bank": WRITTEN})
    good = sign(str(int(world.clock.time())))
    assert answer(await send(world, " ".join(["v1,x"] * 9 + [good]))) == len(BODY)
    assert answer(await send(world, " ".join(["v1,x"] * 10 + [good]))) == "signature_invalid"


async def test_a_secret_or_a_scheme_that_is_missing_is_a_fault(build: Build) -> None:
    module = Module("hooks")

    @module.command("POST /hooks/bank", allow=signed("morse", secret="bank"))
    async def take(body: RawBody) -> None: ...

    world = await build(module)
    first, second = world.bound.faults
    assert 'signed("morse")' in first.message
    assert "secret bank is not set" in second.message
    assert "BANK" in (second.hint or "")
