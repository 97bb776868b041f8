"""Webhooks that a service takes: signed, once, and as their sender."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from kernel_world import ANN, Build, World

from mainstay import (
    Conflict,
    Dto,
    Entity,
    HttpClient,
    Module,
    Principal,
    RawBody,
    Repository,
    Secret,
    SignatureScheme,
    signed,
)
from mainstay.kernel.call import Reply
from mainstay.kernel.flow import receipts
from mainstay.kernel.flow.receipts import RETENTION, WebhookReceipt, purge_receipts
from mainstay.kernel.providers import Resolver
from mainstay.model.signature_schemes import standard_signature
from mainstay.ports.rows import Query

KEY = b"a key of the bank and of its shop"


class Payment(Entity):
    amount: int
    who: str


class Paid(Dto, unknown="ignore"):
    amount: int


class Refused(Conflict):
    """It is not taken now."""


def bank(**said: Any) -> Module:
    module = Module("bank")

    @module.webhook("/hooks/bank", secret="bank", **said)
    async def paid(body: Paid, who: Principal, payments: Repository[Payment]) -> None:
        if body.amount < 0:
            raise Refused
        await payments.add(Payment(amount=body.amount, who=who.subject))

    return module


async def send(world: World, message: str = "m-1", body: bytes = b'{"amount": 5, "more": 1}', **given: Any) -> Any:
    stamp = str(int(world.clock.time()))
    key = given.pop("key", KEY)
    signature = standard_signature(key, message, stamp, body)
    headers = {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}
    return await world.send(given.pop("name", "paid"), body=body, headers=headers.get, **given)


async def rows(world: World, entity: type[Any] = Payment) -> list[Any]:
    transaction = world.bound.ports.store.begin(write=False)
    try:
        return [row async for row in transaction.rows(entity).stream(Query())]
    finally:
        await transaction.rollback()


async def test_a_message_has_one_effect_however_often_it_comes(build: Build) -> None:
    world = await build(bank(), secrets={"bank": Secret(KEY.decode())})
    answers = [await send(world) for _ in range(3)]
    assert [answer.status for answer in answers] == [204, 200, 200]
    assert [answer.replayed for answer in answers] == [False, True, True]
    await send(world, "m-2")
    assert [payment.amount for payment in await rows(world)] == [5, 5]


async def test_the_caller_is_the_sender_and_nobody_else(build: Build) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    await send(world)
    await send(world, "m-2", credentials=b"ann")
    assert [payment.who for payment in await rows(world)] == ["webhook:paid", "webhook:paid"]
    assert world.ear.calls[-1].principal.id == world.ear.calls[0].principal.id != ANN.id
    assert not world.ear.calls[0].principal.roles


async def test_a_sender_has_the_name_that_it_is_given(build: Build) -> None:
    world = await build(bank(sender="first bank"), secrets={"bank": KEY.decode()})
    await send(world)
    assert [payment.who for payment in await rows(world)] == ["webhook:first bank"]


async def test_what_is_not_signed_is_told_nothing_and_is_not_decoded(build: Build) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    told = [await send(world, key=b"another"), await send(world, body=b"no json", key=b"another")]
    assert [(t.code, t.detail, t.faults) for t in told] == [("signature_invalid", told[0].title, ())] * 2
    assert (await send(world, body=b"no json")).code == "json_syntax"
    assert not await rows(world)
    assert not await rows(world, WebhookReceipt)


async def test_an_address_that_keeps_sending_wrong_signatures_is_turned_away(build: Build) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    codes = [(await send(world, key=b"another")).code for _ in range(31)]
    assert (codes[0], codes[-1]) == ("signature_invalid", "rate_limited")
    assert isinstance(await send(world), Reply)


async def test_two_secrets_count_while_one_is_replaced(build: Build) -> None:
    world = await build(two(), secrets={"new": "new key", "old": "old key"})
    assert isinstance(await send(world, "m-1", key=b"new key"), Reply)
    assert isinstance(await send(world, "m-2", key=b"old key"), Reply)
    assert (await send(world, "m-3", key=b"third")).code == "signature_invalid"


def two() -> Module:
    module = Module("bank")

    @module.webhook("/hooks/bank", secret=["new", "old"])
    async def paid(body: RawBody) -> None: ...

    return module


async def test_the_other_secrets_need_not_be_set_and_the_first_must(build: Build) -> None:
    world = await build(two(), secrets={"new": "new key", "old": Secret("")})
    assert isinstance(await send(world, key=b"new key"), Reply)
    assert (await send(world, "m-2", key=b"")).code == "signature_invalid"
    for missing in ({"old": "old key"}, {"new": "", "old": "old key"}, {"new": Secret("")}):
        assert "secret new is not set" in (await build(two(), secrets=missing)).bound.faults[0].message


async def test_a_message_that_was_refused_is_taken_when_it_comes_again(build: Build) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    assert (await send(world, body=b'{"amount": -1}')).code == "refused"
    assert not (await send(world)).replayed
    assert len(await rows(world)) == 1


async def test_of_two_at_once_one_has_the_effect(build: Build) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    answers = await asyncio.gather(*(send(world) for _ in range(5)))
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True, True]
    assert len(await rows(world)) == 1


async def test_one_that_comes_between_look_and_mark_is_known_by_the_mark(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overlooked(call: Any, transaction: Any) -> bool:
        return False

    world = await build(bank(), secrets={"bank": KEY.decode()})
    await send(world)
    monkeypatch.setattr(receipts, "_taken", overlooked)
    again = await send(world)
    assert (again.status, again.replayed) == (200, True)
    assert len(await rows(world)) == 1


async def test_one_that_reaches_outside_is_marked_behind_its_effect(build: Build) -> None:
    module, reached = Module("bank"), []

    @module.webhook("/hooks/bank", secret="bank", external=True)
    async def paid(body: RawBody, http: HttpClient) -> None:
        reached.append(bytes(body))

    outside = {HttpClient: Resolver(make=lambda _scope: None, outside=True)}
    world = await build(module, secrets={"bank": KEY.decode()}, known=outside)
    assert [(await send(world)).replayed for _ in range(3)] == [False, True, True]
    assert len(reached) == 1
    assert len(await rows(world, WebhookReceipt)) == 1


async def test_receipts_are_deleted_when_their_time_is_over(build: Build) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    await send(world)
    assert await purge_receipts(world.bound.ports) == 0
    world.clock.advance(RETENTION.total_seconds())
    assert await purge_receipts(world.bound.ports) == 1
    assert not (await send(world)).replayed


async def test_purging_that_fails_is_undone(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(bank(), secrets={"bank": KEY.decode()})
    await send(world)
    world.clock.advance(RETENTION.total_seconds())
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "Change", lambda **_: None)
        with pytest.raises(AttributeError):
            await purge_receipts(world.bound.ports)
    assert await purge_receipts(world.bound.ports) == 1


async def test_a_service_without_webhooks_has_no_receipts(build: Build) -> None:
    module = Module("bank")

    @module.command("POST /hooks", allow=signed("standard-webhooks", secret="bank"))
    async def paid(body: RawBody) -> int:
        return len(body)

    world = await build(module, secrets={"bank": KEY.decode()})
    assert WebhookReceipt not in world.bound.plans
    assert [msgspec.json.decode((await send(world)).body) for _ in range(2)] == [24, 24]


class Morse(SignatureScheme):
    """A scheme of a team's own."""

    name = "morse"
    headers = ("x-morse",)

    def verify(self, headers: Any, body: bytes, keys: Any, now: float) -> bool:
        return headers("x-morse") == "... --- ..."


async def test_a_team_brings_its_own_scheme(build: Build) -> None:
    module = Module("sea")

    @module.webhook("/hooks/sea", scheme=Morse(), secret="sea")
    async def distress(body: RawBody) -> int:
        return len(body)

    world = await build(module, secrets={"sea": "s"})
    good = await world.send("distress", body=b"!", headers={"x-morse": "... --- ..."}.get)
    assert msgspec.json.decode(good.body) == 1
    assert (await world.send("distress", body=b"!")).code == "signature_invalid"
    assert repr(world.names["distress"].operation.allow) == "signed('morse')"


@pytest.mark.parametrize("takes", ["nothing", "several"])
async def test_a_webhook_takes_a_body(build: Build, takes: str) -> None:
    module = Module("bank")

    async def nothing() -> None: ...

    async def several(name: str, count: int) -> None: ...

    module.webhook("/hooks/bank", secret="bank")({"nothing": nothing, "several": several}[takes])
    world = await build(module, secrets={"bank": "x"})
    assert "takes a RawBody or a Dto" in world.bound.faults[0].message


async def test_a_consumer_may_take_the_payload_as_it_was_stored(build: Build) -> None:
    from mainstay import Event

    class Shouted(Event):
        text: str

    module, heard = Module("crowd"), []

    @module.on(Shouted)
    async def hear(payload: RawBody) -> None:
        heard.append(bytes(payload))

    world = await build(module)
    assert not world.bound.faults
    await world.send("hear", body=b'{"text":"hey"}')
    assert heard == [b'{"text":"hey"}']
