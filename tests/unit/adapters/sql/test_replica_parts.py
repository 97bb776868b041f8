"""What needs no server of a replica: where queries go, what is asked of it, and what becomes of old goals."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay.adapters.sql.mysql.follower import Follower
from mainstay.adapters.sql.outages import ConnectionLost, DatabaseAway
from mainstay.adapters.sql.postgres.options import Options
from mainstay.adapters.sql.postgres.standby import Standby
from mainstay.adapters.sql.replica import Replica, lent, told
from mainstay.model.problem import SerializationConflict


class Link:
    """Answers with what stands for its pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, statement: str, values: tuple[Any, ...], _: float) -> list[tuple[Any, ...]]:
        self._pool.asked.append((statement.split("(", maxsplit=1)[0].strip(), *values))
        return [(self._pool.answers.pop(0),)]


class Pool:
    """A pool of one connection, or of none where it is away."""

    def __init__(self, *answers: Any, away: bool = False) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []
        self.away = away
        self.failure: str | None = None
        self.given = 0

    async def take(self, _: float | None) -> Any:
        if self.away:
            raise DatabaseAway
        return Link(self)

    def give(self, _: Any) -> None:
        self.given += 1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made(pool: Pool, primary: Pool, clock: Clock) -> Replica[Any]:
    return Standby(pool, primary, 5.0, clock, flushed=True)  # type: ignore[arg-type]


async def test_a_replica_that_goes_away_as_it_is_asked_for_leaves_the_query_to_the_primary() -> None:
    away, primary = Pool(away=True), Pool()
    assert (await lent(away, primary, 1.0))[1] is primary  # type: ignore[arg-type, comparison-overlap]
    with pytest.raises(DatabaseAway):
        await lent(away, away, 1.0)  # type: ignore[arg-type]
    with pytest.raises(DatabaseAway):
        await lent(away, Pool(away=True), 1.0)  # type: ignore[arg-type]


def test_a_read_that_was_given_up_for_good_tells_why() -> None:
    conflict = SerializationConflict()
    assert told(conflict) is conflict
    assert isinstance(told(ConnectionLost("x")), DatabaseAway)


async def test_a_query_goes_to_a_replica_that_is_known_to_be_near() -> None:
    clock, pool, primary = Clock(), Pool(True), Pool("77")
    replica = made(pool, primary, clock)
    assert replica.choose(latest=False) is primary  # type: ignore[comparison-overlap]
    await replica._try()
    clock.now = 105.0
    assert (replica.current, replica.behind) == (100.0, 5.0)
    assert replica.choose(latest=False) is pool  # type: ignore[comparison-overlap]
    assert replica.choose(latest=True) is primary  # type: ignore[comparison-overlap]
    clock.now = 105.1
    assert replica.choose(latest=False) is primary  # type: ignore[comparison-overlap]
    assert "5 s behind" in (replica.degraded() or "")
    clock.now, pool.failure = 101.0, "gone"
    assert replica.choose(latest=False) is primary  # type: ignore[comparison-overlap]
    assert "cannot be reached" in (replica.degraded() or "")


async def test_a_replica_is_not_asked_before_it_has_the_tables_that_were_made() -> None:
    clock, pool, primary = Clock(), Pool(True, False, True), Pool("77", "88")
    replica = made(pool, primary, clock)
    await replica._try()
    replica.forget()
    await replica._try()
    assert replica.choose(latest=False) is primary  # type: ignore[comparison-overlap]
    await replica._try()
    assert replica.choose(latest=False) is pool  # type: ignore[comparison-overlap]
    assert [values[0] for _, *values in pool.asked] == ["77", "88", "88"]


async def test_a_place_is_asked_for_until_the_replica_has_come_to_it() -> None:
    clock, pool, primary = Clock(), Pool(False, False, True), Pool("77")
    replica = made(pool, primary, clock)
    for _ in range(3):
        await replica._try()
        clock.now += 1
    assert replica.current == 100.0
    assert [values[0] for _, *values in pool.asked] == ["77"] * 3
    assert (len(primary.asked), primary.given, pool.given) == (1, 1, 3)


async def test_a_place_that_is_never_come_to_is_left() -> None:
    """Of a primary that has died, and whose standby had less."""
    clock, pool, primary = Clock(), Pool(False, False, True), Pool("99", "90")
    replica = made(pool, primary, clock)
    await replica._try()
    clock.now = 105.0
    await replica._try()
    clock.now = 105.1
    await replica._try()
    assert replica.current == 105.1
    assert [values[0] for _, *values in pool.asked] == ["99", "99", "90"]


async def test_a_look_that_fails_leaves_the_replica_behind() -> None:
    replica = made(Pool(away=True), Pool("77"), Clock())
    await replica._try()
    assert replica.current < 0


@pytest.mark.parametrize(
    ("mariadb", "primary", "replica"),
    [
        (True, "SELECT @@GLOBAL.gtid_binlog_pos", "SELECT MASTER_GTID_WAIT"),
        (False, "SELECT @@GLOBAL.gtid_executed", "SELECT GTID_SUBSET"),
    ],
    ids=["MariaDB", "MySQL"],
)
async def test_ids_of_transactions_are_compared(mariadb: bool, primary: str, replica: str) -> None:
    ahead, behind = Pool("0-1-7"), Pool(1)
    follower = Follower(behind, ahead, 5.0, Clock(), lambda: mariadb)  # type: ignore[arg-type]
    await follower._try()
    assert follower.current == 100.0
    assert (ahead.asked, behind.asked) == ([(primary,)], [(replica, "0-1-7")])


async def test_a_primary_without_ids_has_a_replica_that_is_behind() -> None:
    follower = Follower(Pool(), Pool(""), 5.0, Clock(), lambda: True)  # type: ignore[arg-type]
    await follower._try()
    assert follower.current < 0


def test_a_replica_is_one_server() -> None:
    with pytest.raises(ValueError, match="replica_url names several hosts"):
        Options("postgresql://a/shop", replica_url="postgresql://a,b/shop")
