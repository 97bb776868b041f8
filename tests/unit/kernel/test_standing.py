"""Streams: whether their caller still may have them is asked anew while they run, and of each row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from mainstay import (
    Clock,
    Dto,
    Entity,
    Module,
    Repository,
    Service,
    Stream,
    UnitOfWork,
    attribute,
    between,
    field,
    owner,
    role,
)
from mainstay.kernel.standing import MAX_ITEMS, Judged
from mainstay.model.policy import Policy, authenticated
from mainstay.testing.client import Client
from mainstay.testing.people import as_principal

READER = role("reader")
ANN = as_principal("ann", roles="reader")


class Tick(Dto):
    """One of many."""

    number: int
    secret: str = field(default="hush", read=role("boss"))


class Note(Entity, rows=owner("writer_id") | role("boss")):
    """A note of somebody."""

    writer_id: UUID
    text: str


class Changes:
    """What happens to callers while their stream runs: before the item of a number."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.taken: list[int] = []

    def happen(self, number: int) -> None:
        self.taken.append(number)
        if number in self.before:
            self.before[number]()


def service(changes: Changes, *, allow: Policy = READER, seconds: float = 1.0, count: int = 4) -> Service:
    module = Module("wire")
    module.entity(Note)

    @module.query("GET /ticks", allow=allow)
    async def ticks(clock: Clock) -> AsyncIterator[Tick]:
        for number in range(count):
            await clock.sleep(seconds)
            changes.happen(number)
            yield Tick(number=number)

    @module.query("GET /notes", allow=allow)
    async def notes(clock: Clock, unit: UnitOfWork, rows: Repository[Note]) -> AsyncIterator[Note]:
        for number in range(count):
            await clock.sleep(seconds)
            changes.happen(number)
            await unit.refresh()
            async for note in rows.stream(sort="text"):
                yield note

    @module.query("GET /feed", allow=allow)
    async def feed() -> Stream[Note]:
        async def items() -> AsyncIterator[Note]:
            for number in range(count):
                writer = ANN.id if number % 2 else UUID(int=77)
                yield Note(writer_id=writer, text=f"note {number}")

        return Stream(items())

    return Service("wire", modules=[module])


def lines(body: bytes) -> list[Any]:
    return [msgspec.json.decode(line) for line in body.splitlines()]


async def streamed(client: Client, path: str, who: Any = ANN) -> list[Any]:
    """Return the lines of a stream; one that was cut has said why in its last one."""
    answer = await client.get(path, who=who, headers={"accept": "application/x-ndjson"})
    assert answer.status == 200
    return lines(answer.body)


@pytest.mark.parametrize("now", [None, as_principal("ann")], ids=["its token has ended", "its role was taken away"])
async def test_a_caller_that_may_no_more_is_given_no_more(now: Any) -> None:
    changes = Changes()
    async with Client(service(changes), raise_errors=False) as client:
        changes.before[2] = lambda: client.change(ANN, now)
        with pytest.raises(ConnectionAbortedError):
            await streamed(client, "/ticks")
        (notice,) = [one for one in client.recorder.notices if one.event == "stream_refused"]
        assert notice.facts["code"] == ("unauthenticated" if now is None else "forbidden")
    assert changes.taken == [0, 1, 2]  # the item that was on its way is not shown, and none is made behind it


async def test_a_time_that_is_over_ends_a_stream() -> None:
    changes = Changes()
    allow = authenticated & between("00:00", "00:01")
    async with Client(service(changes, allow=allow, seconds=25.0), raise_errors=False) as client:
        with pytest.raises(ConnectionAbortedError):
            await streamed(client, "/ticks")
    assert changes.taken == [0, 1, 2]


async def test_within_a_second_nobody_is_asked_again() -> None:
    changes = Changes()
    async with Client(service(changes, seconds=0.2)) as client:
        changes.before[1] = lambda: client.change(ANN, None)
        assert [tick["number"] for tick in await streamed(client, "/ticks")] == [0, 1, 2, 3]


async def test_many_items_within_a_second_are_not_many_without_a_judgement() -> None:
    changes = Changes()
    async with Client(service(changes, seconds=0.0, count=MAX_ITEMS + 5), raise_errors=False) as client:
        changes.before[1] = lambda: client.change(ANN, None)
        with pytest.raises(ConnectionAbortedError):
            await streamed(client, "/ticks")
    assert len(changes.taken) == MAX_ITEMS


async def test_a_caller_that_became_another_is_shown_what_that_one_may_see() -> None:
    changes = Changes()
    boss = as_principal("ann", roles=["reader", "boss"])
    async with Client(service(changes)) as client:
        changes.before[1] = lambda: client.change(ANN, boss)
        changes.before[3] = lambda: client.change(ANN, ANN)
        shown = await streamed(client, "/ticks")
    assert [tick.get("secret") for tick in shown] == [None, "hush", "hush", None]


async def test_rows_are_read_anew_for_the_caller_as_it_is_then() -> None:
    changes = Changes()
    boss = as_principal("ann", roles=["reader", "boss"])
    async with Client(service(changes, count=3)) as client:
        await client.given(Note(writer_id=ANN.id, text="a"), Note(writer_id=UUID(int=9), text="b"))
        changes.before[0] = lambda: client.change(ANN, boss)
        shown = await streamed(client, "/notes")
    assert [note["text"] for note in shown] == ["a", "a", "b", "a", "b"]


async def test_what_the_service_knows_of_a_caller_is_found_out_anew_too() -> None:
    changes, known = Changes(), {"level": 1}
    made = service(changes, allow=attribute("level", 1))

    @made.attributes
    async def staff() -> dict[str, object]:
        return dict(known)

    async with Client(made, raise_errors=False) as client:
        changes.before[2] = known.clear
        with pytest.raises(ConnectionAbortedError):
            await streamed(client, "/ticks")
    assert changes.taken == [0, 1, 2]


async def test_a_row_that_a_feed_brings_is_shown_to_whom_its_policy_allows_it() -> None:
    async with Client(service(Changes())) as client:
        assert [note["text"] for note in await streamed(client, "/feed")] == ["note 1", "note 3"]
        boss = as_principal("eve", roles=["reader", "boss"])
        assert len(await streamed(client, "/feed", boss)) == 4


async def test_what_is_judged_is_closed_with_what_it_comes_from() -> None:
    class Bare:
        """An iterator that has nothing to close."""

        def __aiter__(self) -> Bare:
            return self

        async def __anext__(self) -> int:
            raise StopAsyncIteration

    async with Client(service(Changes())) as client:
        (ticks,) = [one for one in client.bound.operations if one.name == "ticks"]
        call = type("Call", (), {"operation": ticks})
        judged: Any = Judged(Bare(), call, None)  # type: ignore[arg-type]  # neither of them is asked
        await judged.aclose()
