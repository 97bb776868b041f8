"""The sender: who sends which share, and what becomes of an attempt whose record fails."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID

import pytest
from kernel_world import Ear

from mainstay.adapters.memory.http import MemoryHttp
from mainstay.ports.http import HttpAnswer
from mainstay.testing.fixed import START, FixedClock, SeededEntropy
from mainstay.webhooks import sender as module
from mainstay.webhooks.book import Addressee, DeliveryBook, Outcome
from mainstay.webhooks.entities import SHARES, WebhookDelivery, WebhookEndpoint
from mainstay.webhooks.lanes import FAILURES, WIDTH
from mainstay.webhooks.rules import WebhookRules
from mainstay.webhooks.sender import Sender, SenderParts
from mainstay.webhooks.shares import Shares

STANDARD: dict[str, Any] = {"version": 1, "created_at": START, "updated_at": START}


def delivery(number: int, endpoint: int = 1) -> WebhookDelivery:
    return WebhookDelivery(
        id=UUID(int=number),
        endpoint_id=UUID(int=endpoint),
        audience="*",
        message_id=f"msg_{number}",
        event="a.B",
        payload="{}",
        share=1,
        **STANDARD,
    )


class Book(DeliveryBook):
    """Holds what is due in memory. ``broken`` is what it raises for a while."""

    def __init__(self, *due: WebhookDelivery) -> None:
        self.rows = {one.id: one for one in due}
        self.outcomes: list[Outcome] = []
        self.looked = 0
        self.purged: list[float] = []
        self.broken: dict[str, Exception] = {}

    async def due(
        self, shares: Collection[int], full: Collection[UUID], running: Collection[UUID], limit: int
    ) -> list[WebhookDelivery]:
        self.looked += 1
        if "due" in self.broken:
            raise self.broken["due"]
        found = [r for r in self.rows.values() if r.endpoint_id not in full and r.id not in running]
        return found[:limit]

    async def addressee(self, endpoint: UUID) -> Addressee | None:
        row = WebhookEndpoint(
            id=endpoint, audience="*", owner_id=UUID(int=9), url=f"https://e{endpoint.int}.example/", **STANDARD
        )
        return Addressee(row, ["whsec_a2V5"])

    async def note(self, delivery: WebhookDelivery, outcome: Outcome, delay: float | None) -> WebhookEndpoint | None:
        if "note" in self.broken:
            raise self.broken["note"]
        self.outcomes.append(outcome)
        del self.rows[delivery.id]
        return None

    async def purge(self, keep: float) -> None:
        self.purged.append(keep)


class All(Shares):
    """All shares, from the first turn to the end."""

    def __init__(self) -> None:
        self.have: Collection[int] = ()
        self.released: Exception | None = None

    def held(self) -> Collection[int]:
        return self.have

    async def keep(self) -> None:
        self.have = range(SHARES)

    async def release(self) -> None:
        self.have = ()
        if self.released is not None:
            raise self.released


class World:
    def __init__(self, book: Book) -> None:
        self.clock, self.ear, self.book = FixedClock(), Ear(), book
        self.http = MemoryHttp({f"POST https://e{n}.example/": HttpAnswer(status=200) for n in range(10)})
        self.shares = All()
        self.sender = Sender(
            SenderParts(
                book=book,
                http=self.http,
                rules=WebhookRules(),
                clock=self.clock,
                entropy=SeededEntropy(1),
                observer=self.ear,
                shares=self.shares,
                disable=self._disable,
            )
        )

    async def _disable(self, endpoint: UUID) -> None:
        raise AssertionError(endpoint)


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "GRACE", 0.2)


async def test_shares_that_cannot_be_given_back_are_told_of() -> None:
    world = World(Book())
    world.shares.released = OSError("away")
    task = asyncio.create_task(world.sender.run())
    await until(lambda: world.book.looked > 0)
    world.sender.stop()
    await task
    assert [notice.event for notice in world.ear.notices] == ["webhooks_kept"]


async def test_a_database_that_is_away_is_told_of_and_waited_for() -> None:
    world = World(Book(delivery(1)))
    world.book.broken["due"] = OSError("away")
    task = asyncio.create_task(world.sender.run())
    await until(lambda: world.book.looked > 2)
    assert {notice.event for notice in world.ear.notices} == {"webhooks_wait"}
    world.book.broken.clear()
    await until(lambda: not world.book.rows)
    world.sender.stop()
    await task


async def test_an_attempt_that_cannot_be_put_on_record_is_made_again_after_a_rest() -> None:
    world = World(Book(delivery(1)))
    world.book.broken["note"] = OSError("full")
    task = asyncio.create_task(world.sender.run())
    await until(lambda: len(world.http.requests) == FAILURES)
    for _ in range(20):
        world.sender.wake()
        await asyncio.sleep(0.01)
    assert len(world.http.requests) == FAILURES
    assert {notice.event for notice in world.ear.notices} == {"webhook_unrecorded"}
    world.book.broken.clear()
    world.clock.advance(60)
    await until(lambda: not world.book.rows)
    assert len({request.headers["webhook-id"] for request in world.http.requests}) == 1
    world.sender.stop()
    await task


async def test_attempts_under_way_are_bounded_for_an_endpoint_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOTAL", 10)
    world = World(Book(*(delivery(n, endpoint=n % 5) for n in range(100, 200))))
    running: list[str] = []
    most: dict[str, int] = {}
    gate = asyncio.Event()

    async def request(method: str, url: str, **_: Any) -> HttpAnswer:
        running.append(url)
        most[url] = max(most.get(url, 0), running.count(url))
        most["all"] = max(most.get("all", 0), len(running))
        await gate.wait()
        running.remove(url)
        return HttpAnswer(status=204)

    monkeypatch.setattr(world.http, "request", request)
    task = asyncio.create_task(world.sender.run())
    await until(lambda: len(running) == 10)
    gate.set()
    await until(lambda: not world.book.rows)
    world.sender.stop()
    await task
    assert most.pop("all") <= 10
    assert max(most.values()) <= WIDTH


async def test_an_attempt_that_does_not_end_is_cut_off_and_stays_due(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Book(delivery(1)))
    begun = asyncio.Event()

    async def request(*_: Any, **__: Any) -> HttpAnswer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(world.http, "request", request)
    task = asyncio.create_task(world.sender.run())
    await begun.wait()
    world.sender.stop()
    await task
    assert list(world.book.rows) == [UUID(int=1)]
    assert not world.book.outcomes


async def test_what_has_ended_is_deleted_now_and_then() -> None:
    world = World(Book())
    task = asyncio.create_task(world.sender.run())
    await until(lambda: world.book.looked > 1)
    assert not world.book.purged
    world.clock.advance(module.CHORES * 2)
    await until(lambda: bool(world.book.purged))
    assert set(world.book.purged) == {WebhookRules().keep_seconds}
    world.sender.stop()
    await task
