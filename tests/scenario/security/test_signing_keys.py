"""Signing keys: sealed at rest, rotated with an overlap, retired at once, known to every replica."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from logged_in import bearer, logged_in, make_service, refreshed, signed_up

from mainstay.adapters.memory.store import MemoryStore
from mainstay.app.identity_tokens import SessionParts, system_frame
from mainstay.app.settings import Settings
from mainstay.identity import Identity
from mainstay.identity.sessions.entities import SigningKey
from mainstay.identity.sessions.epochs import SIGNING_KEYS, raise_epoch
from mainstay.kernel.records import rows_of
from mainstay.ports.security_log import SecurityRecord
from mainstay.ports.unit_of_work import UnitOfWork
from mainstay.testing import Client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service(), store=MemoryStore()) as opened:
        await signed_up(opened)
        yield opened


def parts(client: Client) -> SessionParts:
    assert client._sessions is not None
    return client._sessions


async def works(client: Client, token: str) -> bool:
    return (await client.get("/me", headers=bearer(token))).status == 200


async def test_the_first_key_is_made_at_the_start_and_sealed(client: Client) -> None:
    (key,) = await client.stored(SigningKey)
    (shown,) = json.loads(parts(client).keys.public_jwks())["keys"]
    assert (key.algorithm, key.ordinal, key.verifies_until) == ("EdDSA", 1, None)
    assert shown == {**json.loads(key.public), "kid": key.kid, "use": "sig", "alg": "EdDSA"}
    assert "d" not in shown
    assert "PRIVATE" not in key.private


async def test_a_new_key_is_shown_before_it_signs_and_the_old_one_outlives_its_tokens(client: Client) -> None:
    keys = parts(client).keys
    old = keys.current().kid
    before = await logged_in(client)
    made = await keys.rotate(timedelta(seconds=300))
    assert [key["kid"] for key in json.loads(keys.public_jwks())["keys"]] == [old, made.kid]
    assert keys.current().kid == old
    client.clock.advance(299)
    late = await logged_in(client)
    client.clock.advance(1)
    assert keys.current().kid == made.kid
    after = await logged_in(client)
    assert [await works(client, one["access_token"]) for one in (before, late, after)] == [True, True, True]
    client.clock.advance(598)
    assert [await works(client, one["access_token"]) for one in (late, after)] == [True, True]
    client.clock.advance(200)
    assert [key["kid"] for key in json.loads(keys.public_jwks())["keys"]] == [made.kid]


async def test_ten_rotations_void_no_token(client: Client) -> None:
    keys = parts(client).keys
    tokens = []
    for _ in range(10):
        await keys.rotate(timedelta(seconds=5))
        tokens.append((await logged_in(client))["access_token"])
        client.clock.advance(6)
        tokens.append((await logged_in(client))["access_token"])
        assert all([await works(client, token) for token in tokens])
    assert len({json.dumps(key) for key in json.loads(keys.public_jwks())["keys"]}) == 11


async def test_a_retired_key_voids_its_tokens_and_another_signs(client: Client) -> None:
    keys = parts(client).keys
    before = await logged_in(client)
    assert await works(client, before["access_token"])
    stolen = keys.current().kid
    made = await keys.retire(stolen)
    await parts(client).epochs.refresh()
    assert made is not None
    assert keys.current().kid == made.kid
    answer = await client.get("/me", headers=bearer(before["access_token"]))
    assert answer.status == 401
    assert await works(client, (await refreshed(client, before["refresh_token"])).json["access_token"])


async def test_a_key_that_is_retired_by_a_clock_that_is_ahead_ends_all_the_same(client: Client) -> None:
    token = (await logged_in(client))["access_token"]
    assert await works(client, token)
    (key,) = await client.stored(SigningKey)
    ahead = client.clock.now() + timedelta(seconds=2)

    async def retire(unit: UnitOfWork) -> None:
        await rows_of(unit, SigningKey).update(key, verifies_until=ahead)
        await raise_epoch(unit, SIGNING_KEYS)

    await parts(client)._opened.change(retire)
    await parts(client).epochs.refresh()
    assert await works(client, token)
    client.clock.advance(2)
    assert not await works(client, token)


async def test_a_key_that_comes_next_is_retired_without_a_gap(client: Client) -> None:
    keys = parts(client).keys
    coming = await keys.rotate(timedelta(seconds=300))
    made = await keys.retire(coming.kid)
    assert made is not None
    assert keys.current().kid == made.kid
    assert await works(client, (await logged_in(client))["access_token"])


async def test_another_replica_knows_a_key_that_it_has_not_heard_of(client: Client) -> None:
    service = make_service()
    assert isinstance(service.identity, Identity)
    settings = Settings(profile="test")
    other = SessionParts(service.identity, service, settings, clock=client.clock, observer=client.recorder, others=None)
    await other.open(client.bound)
    await other.keys.retire(other.keys.current().kid)
    client.clock.advance(0.5)
    unit = UnitOfWork(system_frame(client.bound), write=False)
    token = await other.tokens.issue(unit, client.bound.ports.ids.next())
    await unit.rollback()
    assert await works(client, token)


async def test_a_key_that_cannot_be_opened_signs_nothing_and_is_told(client: Client) -> None:
    (key,) = await client.stored(SigningKey)
    keys = parts(client).keys

    async def spoil(unit: UnitOfWork) -> None:
        await rows_of(unit, SigningKey).update(key, private="another seal")

    await parts(client)._opened.change(spoil)
    keys._keys = ()
    await keys.load()
    answer = await client.post("/auth/test/log-in", json={"email": "ann@shop.example"})
    assert (answer.status, answer.json["code"]) == (503, "no_signing_key")
    assert [n.event for n in client.recorder.notices if n.level == "error"] == ["signing_key_sealed"]


async def test_what_is_done_with_keys_stands_in_the_record(client: Client) -> None:
    keys = parts(client).keys
    old = keys.current().kid
    made = await keys.rotate(timedelta())
    await keys.retire(old)
    noted = await client.stored(SecurityRecord)
    assert [(one.kind, one.facts["kid"]) for one in noted if one.kind.startswith("signing_key.")] == [
        ("signing_key.created", old),
        ("signing_key.created", made.kid),
        ("signing_key.rotated", made.kid),
        ("signing_key.retired", old),
    ]
