"""Reading ahead of a command's transaction, and where a call comes from."""

from __future__ import annotations

from uuid import UUID

from kernel_world import ANN, BOB, Build

from mainstay import Conflict, Entity, Module, NotFound, Origin, ReadAhead, Repository, UnitOfWork, anyone, owner
from mainstay.kernel.call import Reply
from mainstay.model.values import UNASSIGNED
from mainstay.ports.limiter import Limiter
from mainstay.ports.sealer import Sealer


class Card(Entity, rows=owner("holder")):
    holder: UUID = UNASSIGNED
    text: str


def cards(begun: list[bool]) -> Module:
    module = Module("cards")

    @module.command("POST /cards", allow=anyone)
    async def add_card(text: str, rows: Repository[Card]) -> Card:
        return await rows.add(Card(text=text))

    @module.command("PATCH /cards/{card_id}", allow=anyone)
    async def change(card_id: UUID, text: str, ahead: ReadAhead[Card], rows: Repository[Card], unit: UnitOfWork) -> str:
        seen = await ahead.get(card_id)
        begun.append(unit.begun)
        same = await ahead.one(text=seen.text)
        begun.append(unit.begun)
        await rows.update(same, text=text)
        still = await ahead.get(card_id)
        return f"{seen.text} {still.text}"

    @module.query("GET /from", allow=anyone)
    async def tell(origin: Origin, sealer: Sealer, limiter: Limiter) -> str:
        opened = sealer.open(sealer.seal(b"sealed", b"test"), b"test")
        return f"{origin.address} {origin.request_id} {opened!r} {type(limiter).__name__}"

    return module


async def test_it_begins_no_transaction_and_sees_what_is_committed(build: Build) -> None:
    begun: list[bool] = []
    world = await build(cards(begun))
    made = await world.send("add_card", body=b'{"text": "old"}', credentials=b"ann")
    assert isinstance(made, Reply)
    card = {"card_id": str(made.location or _id_in(made.body))}
    answer = await world.send("change", arguments=card, body=b'{"text": "new"}', credentials=b"ann")
    assert isinstance(answer, Reply)
    assert answer.body == b'"old old"'
    assert begun == [False, False]


async def test_it_obeys_the_row_policy(build: Build) -> None:
    world = await build(cards([]))
    made = await world.send("add_card", body=b'{"text": "old"}', credentials=b"ann")
    assert isinstance(made, Reply)
    card = {"card_id": str(_id_in(made.body))}
    assert ANN != BOB
    outcome = await world.send("change", arguments=card, body=b'{"text": "new"}', credentials=b"bob")
    assert isinstance(outcome, NotFound)
    assert not isinstance(outcome, Conflict)


async def test_a_call_tells_where_it_comes_from(build: Build) -> None:
    world = await build(cards([]))
    answer = await world.send("tell")
    assert isinstance(answer, Reply)
    assert answer.body == b"\"192.0.2.1 r-1 b'sealed' MemoryLimiter\""


def _id_in(body: bytes) -> str:
    import msgspec

    found: str = msgspec.json.decode(body)["id"]
    return found
