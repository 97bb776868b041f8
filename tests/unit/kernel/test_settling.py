"""A commit that ended unknown: with a key its record says what became of it, without one nobody does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from kernel_world import Build, World

from mainstay import Conflict, Dto, Entity, Module, Repository, anyone
from mainstay.kernel.call import Reply
from mainstay.kernel.guard import once
from mainstay.model.problem import CommitUnknown, Problem, Unavailable, UniqueConflict


class Payment(Entity):
    amount: int


class Pay(Dto):
    amount: int


payments = Module("payments")


@payments.command("POST /payments", status=201, allow=anyone)
async def pay(body: Pay, rows: Repository[Payment]) -> Payment:
    return await rows.add(Payment(amount=body.amount))


@payments.command("POST /elsewhere", allow=anyone, external=True)
async def pay_elsewhere(body: Pay, rows: Repository[Payment]) -> int:
    await rows.add(Payment(amount=body.amount))
    return 1


class PaidAlready(Conflict):
    """It was paid for before."""


@payments.command("POST /once", allow=anyone, raises=[PaidAlready])
async def pay_once(body: Pay, rows: Repository[Payment]) -> int:
    if await rows.count():
        raise PaidAlready
    await rows.add(Payment(amount=body.amount))
    return 1


@payments.query("GET /count", allow=anyone)
async def count(rows: Repository[Payment]) -> int:
    return await rows.count()


class Commits:
    """What becomes of the commits of commands, one after another: ``done`` and ``lost`` end unknown."""

    def __init__(self, world: World, *fates: str) -> None:
        self.fates = list(fates)
        self.away = False
        store: Any = world.store
        self._begin: Callable[..., Any] = store.begin
        store.begin = self.begin
        store.capabilities = msgspec.structs.replace(store.capabilities, settles=True)

    def begin(self, **given: Any) -> Any:
        if self.away and not given["write"]:
            raise Unavailable("the database is away")
        made = self._begin(**given)
        if given["write"]:
            made.commit = self.ending(made, made.commit)
        return made

    def ending(self, transaction: Any, commit: Callable[[], Any]) -> Callable[[], Any]:
        async def end() -> None:
            fate = self.fates.pop(0) if self.fates else "well"
            if fate == "lost":
                await transaction.rollback()
            else:
                await commit()
            if fate != "well":
                raise CommitUnknown

        return end


@pytest.fixture
async def world(build: Build) -> World:
    return await build(payments)


async def send(world: World, key: str | None, name: str = "pay") -> Reply | Problem:
    return await world.send(name, body=b'{"amount": 5}', idempotency_key=key)


async def effects(world: World) -> int:
    reply = await world.send("count")
    assert isinstance(reply, Reply)
    return int(reply.body)


@pytest.mark.parametrize("fate", ["done", "lost"])
async def test_a_call_with_a_key_has_one_effect_and_is_answered(world: World, fate: str) -> None:
    Commits(world, fate)
    reply = await send(world, "k")
    assert isinstance(reply, Reply)
    assert (reply.status, reply.replayed, msgspec.json.decode(reply.body)["amount"]) == (201, False, 5)
    assert await effects(world) == 1
    again = await send(world, "k")
    assert isinstance(again, Reply)
    assert (again.body, again.replayed) == (reply.body, True)


@pytest.mark.parametrize("fate", ["done", "lost"])
async def test_a_call_without_a_key_is_told_that_nobody_knows(world: World, fate: str) -> None:
    Commits(world, fate)
    problem = await send(world, None)
    assert isinstance(problem, CommitUnknown)
    assert problem.retry_after is None
    assert await effects(world) == (fate == "done")


async def test_a_first_attempt_that_ends_late_wins(world: World) -> None:
    """The record was absent when it was looked for, and there when the second attempt was to commit its own."""
    commits = Commits(world, "lost")
    begin = commits.begin
    met = []

    def late(**given: Any) -> Any:
        made = begin(**given)
        if given["write"] and not commits.fates:
            commit = made.commit

            async def end() -> None:
                await commit()  # as if it was the first attempt's
                met.append(True)
                raise UniqueConflict("another IdempotencyRecord has this scope")

            made.commit = end
        return made

    store: Any = world.store
    store.begin = late
    commits.fates = ["lost"]
    reply = await send(world, "k")
    assert met == [True]
    assert isinstance(reply, Reply)
    assert await effects(world) == 1


async def test_where_the_record_cannot_be_looked_for_it_stays_unknown_and_may_be_repeated(world: World) -> None:
    commits = Commits(world, "done")
    commit = commits.ending

    def ending(transaction: Any, end: Callable[[], Any]) -> Callable[[], Any]:
        made = commit(transaction, end)

        async def last() -> None:
            commits.away = True
            await made()

        return last

    commits.ending = ending  # type: ignore[method-assign]
    problem = await send(world, "k")
    assert isinstance(problem, CommitUnknown)
    assert problem.retry_after == 1.0
    commits.away = False
    assert await effects(world) == 1


async def test_what_has_effects_elsewhere_is_looked_for_and_not_run_again(world: World) -> None:
    Commits(world, "lost")
    problem = await send(world, "k", "pay_elsewhere")
    assert isinstance(problem, CommitUnknown)
    Commits(world, "done")
    reply = await send(world, "l", "pay_elsewhere")
    assert isinstance(reply, Reply)
    assert await effects(world) == 1


async def test_a_store_that_cannot_tell_is_not_asked(world: World) -> None:
    Commits(world, "done")
    store: Any = world.store
    store.capabilities = msgspec.structs.replace(store.capabilities, settles=False)
    assert isinstance(await send(world, "k"), CommitUnknown)


async def test_attempts_are_bounded(world: World) -> None:
    Commits(world, *["lost"] * 9)
    assert isinstance(await send(world, "k"), CommitUnknown)
    assert await effects(world) == 0


def miss_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next look for a record find none, as if it was committed a moment later."""
    look_up, missed = once._look_up, []

    async def look(*given: Any) -> Any:
        found = await look_up(*given)
        if missed:
            return found
        missed.append(found)
        return None

    monkeypatch.setattr(once, "_look_up", look)


@pytest.mark.parametrize("name", ["pay", "pay_once"])
async def test_where_another_process_ran_the_same_key_its_reply_is_given(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The claim was lost: both ran, and this one met the record of the other, or was refused for what it had done."""
    Commits(world)
    first = await send(world, "k", name)
    miss_once(monkeypatch)
    second = await send(world, "k", name)
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert second.body == first.body
    assert await effects(world) == 1


async def test_a_refusal_for_what_an_unknown_commit_has_done_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was not there yet when it was looked for; its effect was when the call was run again."""
    Commits(world, "done")
    monkeypatch.setattr(once, "_is_absent", _yes)
    look_up, looks = once._look_up, []

    async def look(*given: Any) -> Any:
        looks.append(given)
        return None if len(looks) <= 2 else await look_up(*given)

    monkeypatch.setattr(once, "_look_up", look)
    reply = await send(world, "k", "pay_once")
    assert isinstance(reply, Reply)
    assert reply.body == b"1"
    assert await effects(world) == 1


async def _yes(*given: Any) -> bool:
    return True


async def test_a_refusal_with_a_key_stays_one(world: World) -> None:
    Commits(world)
    assert isinstance(await send(world, "k", "pay_once"), Reply)
    assert isinstance(await send(world, "l", "pay_once"), PaidAlready)


async def test_a_record_that_comes_and_goes_leaves_it_unknown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Commits(world, "lost")

    async def never(*given: Any) -> bool:
        return False

    monkeypatch.setattr(once, "_is_absent", never)
    problem = await send(world, "k")
    assert isinstance(problem, CommitUnknown)
    assert problem.retry_after == 1.0


async def test_a_refusal_is_told_where_its_record_cannot_be_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    Commits(world)
    assert isinstance(await send(world, "k", "pay_once"), Reply)
    look_up, looks = once._look_up, []

    async def look(*given: Any) -> Any:
        looks.append(given)
        if len(looks) == 1:
            return await look_up(*given)
        raise Unavailable("the database is away")

    monkeypatch.setattr(once, "_look_up", look)
    assert isinstance(await send(world, "l", "pay_once"), PaidAlready)
    assert len(looks) == 2
