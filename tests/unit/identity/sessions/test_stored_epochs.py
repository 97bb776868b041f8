"""Epochs: raised with a commit, learnt in memory, and never believed when they are old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from logged_in import make_service

from mainstay.app.identity_tokens import SessionParts
from mainstay.identity.sessions.entities import SubjectEpoch
from mainstay.identity.sessions.epochs import SIGNING_KEYS, StoredEpochs, epoch_of, number_at, raise_epoch
from mainstay.kernel.records import Records, rows_of
from mainstay.model.problem import SerializationConflict, Unavailable
from mainstay.ports.epochs import RevocationsUnknown
from mainstay.ports.unit_of_work import UnitOfWork
from mainstay.testing import Client

WHO = UUID("0199c0de-0000-7000-8000-00000000000a")
RETENTION = timedelta(hours=1)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service()) as opened:
        yield opened


def parts(client: Client) -> SessionParts:
    assert client._sessions is not None
    return client._sessions


def records(client: Client) -> Records:
    return parts(client)._opened


def replica(client: Client) -> StoredEpochs:
    """Return what another process knows: nothing yet."""
    made = StoredEpochs(client.clock, client.recorder, retention=RETENTION)

    async def changed() -> None:
        heard.append(True)

    heard: list[bool] = []
    made.open(records(client), changed)
    made.heard = heard  # type: ignore[attr-defined]  # for the tests
    return made


async def raised(client: Client, subject: UUID = WHO) -> int:
    return await records(client).change(lambda unit: raise_epoch(unit, subject))


async def test_a_number_only_grows(client: Client) -> None:
    numbers = [await raised(client) for _ in range(3)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == number_at(client.clock.now())
    client.clock.set(client.clock.now() - timedelta(hours=2))
    assert await raised(client) == numbers[-1] + 1
    assert await records(client).read(lambda unit: epoch_of(unit, WHO)) == numbers[-1] + 1


async def test_another_process_learns_what_was_raised(client: Client) -> None:
    other = replica(client)
    await other.refresh()
    assert (other.generation, other.floor(WHO)) == (0, 0)
    number = await raised(client)
    await other.refresh()
    assert (other.generation, other.floor(WHO)) == (1, number)
    await other.refresh()
    assert other.generation == 1


async def test_what_was_undone_is_not_learnt(client: Client) -> None:
    unit = UnitOfWork(records(client).frame, write=True)
    await raise_epoch(unit, WHO)
    await unit.rollback()
    other = replica(client)
    await other.refresh()
    assert other.floor(WHO) == 0


async def test_a_commit_that_took_long_is_learnt(client: Client) -> None:
    other = replica(client)
    await raised(client, UUID(int=77))
    await other.refresh()
    late = client.clock.now() - timedelta(seconds=50)

    async def add(unit: UnitOfWork) -> None:
        await rows_of(unit, SubjectEpoch).add(SubjectEpoch(subject=WHO, number=number_at(late), raised_at=late))

    await records(client).change(add)
    await other.refresh()
    assert other.floor(WHO) == number_at(late)


async def test_a_clock_that_is_ahead_hides_nothing(client: Client) -> None:
    other = replica(client)
    ahead = client.clock.now() + timedelta(hours=5)

    async def add(unit: UnitOfWork) -> None:
        await rows_of(unit, SubjectEpoch).add(
            SubjectEpoch(subject=UUID(int=77), number=number_at(ahead), raised_at=ahead)
        )

    await records(client).change(add)
    await other.refresh()
    client.clock.advance(30)
    number = await raised(client)
    await other.refresh()
    assert other.floor(WHO) == number


async def test_keys_are_learnt_before_they_count(client: Client) -> None:
    other = replica(client)
    await other.refresh()
    assert other.heard == []  # type: ignore[attr-defined]  # of the tests
    await raised(client, SIGNING_KEYS)
    await other.refresh()
    await other.refresh()
    assert other.heard == [True]  # type: ignore[attr-defined]  # of the tests


async def test_what_is_known_is_good_for_a_second(client: Client) -> None:
    other = replica(client)
    assert other.until < client.clock.monotonic()
    await other.refresh()
    assert other.until == client.clock.monotonic() + 1.0


class Away(Records):
    """Rows that cannot be had while ``away``."""

    def __init__(self, within: Records) -> None:
        super().__init__(within.frame)
        self.away = True
        self.looks = 0

    async def all(self, *given: object, **named: object) -> list[SubjectEpoch]:  # type: ignore[override]
        self.looks += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("the store is away")
        return []


async def test_what_cannot_be_had_is_said_and_not_believed(client: Client) -> None:
    other = replica(client)
    store = Away(records(client))
    other._records = store
    results = await asyncio.gather(*(other.refresh() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, RevocationsUnknown) for one in results)
    assert store.looks == 2  # one that had begun, and one for all who came after that
    assert other.until < 0
    store.away = False
    await asyncio.gather(*(other.refresh() for _ in range(20)))
    assert store.looks == 4
    assert other.until > 0


async def test_trouble_is_told_once_and_its_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.identity.sessions.epochs.PERIOD", 0.01)
    other = replica(client)
    store = Away(records(client))
    other._records = store
    running = asyncio.create_task(other.run())
    while store.looks < 3:
        await asyncio.sleep(0.01)
    store.away = False
    other.wake()
    while store.looks < 6:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    told = [n.event for n in client.recorder.notices]
    assert told == ["revocations_unknown", "revocations_known"]


async def test_what_is_of_no_use_any_more_is_forgotten(client: Client) -> None:
    other = replica(client)
    await raised(client)
    await other.refresh()
    client.clock.advance(3599)
    other.forget()
    assert other.floor(WHO) > 0
    client.clock.advance(2)
    other.forget()
    assert other.floor(WHO) == 0


async def test_a_conflict_is_tried_again_some_times(client: Client) -> None:
    tries = []

    async def meet(unit: UnitOfWork) -> str:
        tries.append(unit)
        if len(tries) < 3:
            raise SerializationConflict
        return "done"

    assert await records(client).change(meet) == "done"

    async def always(unit: UnitOfWork) -> str:
        tries.append(unit)
        raise SerializationConflict

    tries.clear()
    with pytest.raises(SerializationConflict):
        await records(client).change(always)
    assert len(tries) == 5
