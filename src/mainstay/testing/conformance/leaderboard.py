"""Leaderboards: ranks, ties, exact scores, neighbours, and boards that are apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
import pytest_asyncio

from mainstay.kernel.plans import plan_entities
from mainstay.model.blueprint import draw
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.principal import Principal
from mainstay.model.service import Service
from mainstay.model.structs import Entity
from mainstay.ports.encryption import tables_of
from mainstay.ports.leaderboard import MAX_SCORE, Leaderboard, ScoreOutOfRange, Standing
from mainstay.ports.scores import StoredLeaderboard, board_of
from mainstay.ports.store import Store
from mainstay.testing.conformance.world import ALICE, World


class Player(Entity):
    """Somebody who has a score."""

    name: str


class Team(Entity, tenant="tenant_id"):
    """What has a score within a tenant."""

    name: str


game: Module = Module("game")
game.entity(Player, Team)


@game.query("GET /board", allow=anyone)
async def best(players: Leaderboard[Player]) -> int:
    """Ask for a leaderboard, so that the service has the table of scores."""
    return len(await players.top(1))


BLUEPRINT = draw(Service("scores", modules=[game]))
PLANS = plan_entities(BLUEPRINT)
A, B, C, D, E = (UUID(int=number) for number in range(1, 6))


def standing(rank: int, member: UUID, score: int | str) -> Standing:
    """Return a standing."""
    return Standing(rank=rank, member=member, score=Decimal(score))


class LeaderboardConformance:
    """Every leaderboard. ``board`` gives one for a block, whose writes stand behind it."""

    pytestmark: ClassVar[Any] = pytest.mark.asyncio

    @asynccontextmanager
    async def board(self, name: str = "") -> AsyncIterator[Leaderboard[Player]]:
        """Give the board of a name, the test's own: a subclass says how it is made."""
        raise TypeError(f"{type(self).__name__} does not say how a leaderboard is made for {name!r}: give it board")
        yield

    async def fill(self, *scores: tuple[UUID, int | str]) -> None:
        """Give members their scores."""
        async with self.board() as board:
            for member, score in scores:
                await board.add(member, Decimal(score))

    async def test_nobody_is_on_a_new_board(self) -> None:
        async with self.board() as board:
            assert await board.top(10) == []
            assert await board.rank(A) is None
            assert await board.around(A, 3) == []
            assert not await board.remove(A)
            await board.clear()

    async def test_the_highest_score_is_first(self) -> None:
        await self.fill((A, 10), (B, 30), (C, 20))
        async with self.board() as board:
            assert await board.top(10) == [standing(1, B, 30), standing(2, C, 20), standing(3, A, 10)]
            assert await board.top(2) == [standing(1, B, 30), standing(2, C, 20)]
            assert await board.rank(A) == standing(3, A, 10)

    async def test_who_have_one_score_have_one_rank_and_stand_by_their_ids(self) -> None:
        await self.fill((D, 5), (C, 7), (B, 7), (A, 9), (E, 5))
        async with self.board() as board:
            expected = [
                standing(1, A, 9),
                standing(2, B, 7),
                standing(2, C, 7),
                standing(4, D, 5),
                standing(4, E, 5),
            ]
            assert await board.top(10) == expected
            assert [await board.rank(one.member) for one in expected] == expected

    async def test_a_later_score_takes_the_place_of_an_earlier_one(self) -> None:
        await self.fill((A, 10), (B, 20))
        await self.fill((A, 30))
        await self.fill((A, 15), (B, 15))
        async with self.board() as board:
            assert await board.top(10) == [standing(1, A, 15), standing(1, B, 15)]

    async def test_increments_add_up_exactly(self) -> None:
        async with self.board() as board:
            assert await board.increment(A) == 1
            assert await board.increment(A, Decimal("0.1")) == Decimal("1.1")
            assert await board.increment(A, Decimal("0.2")) == Decimal("1.3")
            assert await board.increment(A, -2) == Decimal("-0.7")
            assert await board.increment(B, Decimal("-0.7001")) == Decimal("-0.7001")
        async with self.board() as board:
            assert await board.top(10) == [standing(1, A, "-0.7"), standing(2, B, "-0.7001")]
            assert await board.increment(A, Decimal("0.7")) == 0
            assert await board.rank(A) == standing(1, A, 0)

    async def test_scores_at_the_bounds_are_kept_to_the_last_place(self) -> None:
        most = Decimal(MAX_SCORE)
        await self.fill((A, str(most)), (B, str(most - Decimal("0.0001"))), (C, str(-most)))
        async with self.board() as board:
            assert [one.score for one in await board.top(3)] == [most, most - Decimal("0.0001"), -most]
            assert await board.increment(B, Decimal("0.0001")) == most
            with pytest.raises(ScoreOutOfRange):
                await board.increment(B, Decimal("0.0001"))

    @pytest.mark.parametrize("score", ["900000000000.0001", "-900000000001", "0.00001", "1.00001", "NaN", "Infinity"])
    async def test_what_is_no_score_is_refused(self, score: str) -> None:
        async with self.board() as board:
            with pytest.raises(ScoreOutOfRange):
                await board.add(A, Decimal(score))
            with pytest.raises(ScoreOutOfRange):
                await board.increment(A, Decimal(score))
            assert await board.top(1) == []

    async def test_a_float_is_refused(self) -> None:
        async with self.board() as board:
            for wrong in (1.5, True, "1"):
                with pytest.raises(TypeError, match="an int or a Decimal"):
                    await board.add(A, wrong)  # type: ignore[arg-type]

    async def test_who_stands_around_a_member(self) -> None:
        members = [UUID(int=number) for number in range(100, 120)]
        await self.fill(*((member, 100 - number // 2) for number, member in enumerate(members)))
        async with self.board() as board:
            everybody = await board.top(20)
            assert [one.rank for one in everybody] == [number // 2 * 2 + 1 for number in range(20)]
            for place, n in ((0, 2), (1, 2), (9, 3), (10, 3), (19, 4), (18, 1), (5, 0), (7, 100)):
                found = await board.around(members[place], n)
                assert found == everybody[max(0, place - n) : place + n + 1], (place, n)
            assert await board.around(A, 3) == []

    async def test_a_member_is_removed_and_the_board_is_cleared(self) -> None:
        await self.fill((A, 1), (B, 2), (C, 3))
        async with self.board() as board:
            assert await board.remove(C)
            assert not await board.remove(C)
            assert await board.top(10) == [standing(1, B, 2), standing(2, A, 1)]
        async with self.board() as board:
            await board.clear()
            assert await board.top(10) == []
        await self.fill((C, 4))
        async with self.board() as board:
            assert await board.top(10) == [standing(1, C, 4)]

    async def test_boards_of_an_entity_are_apart(self) -> None:
        async with self.board() as board:
            await board.add(A, 1)
            await board.of("2026-W48").add(A, 2)
            await board.of("2026-W48").add(B, 3)
            await board.of("2026-W49").of("2026-W50").add(A, 4)
        async with self.board() as board:
            assert await board.top(10) == [standing(1, A, 1)]
            assert await board.of("2026-W48").top(10) == [standing(1, B, 3), standing(2, A, 2)]
            assert await board.of("2026-W49").top(10) == []
            assert await board.of("2026-W50").top(10) == [standing(1, A, 4)]
            await board.of("2026-W48").clear()
            assert await board.top(10) == [standing(1, A, 1)]
            for wrong in ("", "a b", "x" * 101):
                with pytest.raises(ValueError, match="name of a leaderboard"):
                    board.of(wrong)

    async def test_boards_of_other_names_are_apart(self) -> None:
        await self.fill((A, 1))
        async with self.board("other") as other:
            assert await other.top(10) == []
            await other.add(B, 2)
        async with self.board() as board:
            assert await board.top(10) == [standing(1, A, 1)]

    async def test_a_member_may_be_named_by_its_row(self) -> None:
        row = Player(id=A, name="ann")
        async with self.board() as board:
            await board.add(row, 3)
            assert await board.increment(row, 2) == 5
            assert await board.rank(row) == standing(1, A, 5)
            assert await board.around(row, 1) == [standing(1, A, 5)]
            assert await board.remove(row)

    async def test_as_many_are_told_of_as_were_asked_for(self) -> None:
        async with self.board() as board:
            for wrong in (0, -1, 1001):
                with pytest.raises(ValueError, match="tells of"):
                    await board.top(wrong)
            for wrong in (-1, 1001):
                with pytest.raises(ValueError, match="tells of"):
                    await board.around(A, wrong)

    async def test_increments_at_once_all_count(self) -> None:
        await asyncio.gather(*(self.increment_once(member) for member in (A, B) for _ in range(8)))
        async with self.board() as board:
            assert await board.top(10) == [standing(1, A, 8), standing(1, B, 8)]

    async def increment_once(self, member: UUID) -> None:
        """Increment a member in a block of its own."""
        async with self.board() as board:
            await board.increment(member)


class StoredLeaderboardConformance(LeaderboardConformance):
    """Leaderboards in a service's database, part of its transactions. A subclass has ``make_store`` as suites of stores
    have.
    """

    world: World

    def make_store(self, folder: Path) -> Store:
        """Return a new store, not yet started, that may keep its files in ``folder``: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a store is made (in {folder}): give it make_store")

    @pytest_asyncio.fixture
    async def place(self) -> AsyncIterator[None]:
        """What is made before the store and taken away behind it."""
        yield

    @pytest_asyncio.fixture(autouse=True)
    async def _world(self, tmp_path: Path, place: None) -> AsyncIterator[None]:  # noqa: ARG002 - it is made before
        store = self.make_store(tmp_path)
        await store.start(tables_of(PLANS.values()))
        self.world = World(store, PLANS)
        try:
            yield
        finally:
            await store.stop()

    @asynccontextmanager
    async def board(self, name: str = "") -> AsyncIterator[Leaderboard[Player]]:
        async with self.world.command() as hands:
            yield StoredLeaderboard(hands.unit, name or "game.Player")

    async def increment_once(self, member: UUID) -> None:
        await self.world.run(lambda hands: StoredLeaderboard[Player](hands.unit, "game.Player").increment(member))

    async def test_what_is_rolled_back_was_never_there(self) -> None:
        await self.fill((A, 1))
        async with self.world.abandoned() as hands:
            board = StoredLeaderboard[Player](hands.unit, "game.Player")
            await board.add(A, 5)
            await board.increment(B, 7)
            assert await board.top(10) == [standing(1, B, 7), standing(2, A, 5)]
        async with self.world.query() as hands:
            assert await StoredLeaderboard[Player](hands.unit, "game.Player").top(10) == [standing(1, A, 1)]

    async def test_a_query_reads_and_changes_nothing(self) -> None:
        await self.fill((A, 1))
        async with self.world.query() as hands:
            board = StoredLeaderboard[Player](hands.unit, "game.Player")
            assert await board.rank(A) == standing(1, A, 1)
            writes: Sequence[Any] = (board.add(A, 1), board.increment(A), board.remove(A), board.clear())
            for write in writes:
                with pytest.raises(TypeError, match="query"):
                    await write

    async def test_a_tenant_has_a_board_of_its_own(self) -> None:
        north = Principal(id=ALICE.id, subject="ann", tenant="north")
        south = Principal(id=ALICE.id, subject="bob", tenant="south")
        for who, score in ((north, 1), (south, 2)):
            async with self.world.command(who) as hands:
                await StoredLeaderboard[Team](hands.unit, board_of(PLANS[Team], hands.unit.frame)).add(A, score)
        for who, score in ((north, 1), (south, 2)):
            async with self.world.query(who) as hands:
                board = StoredLeaderboard[Team](hands.unit, board_of(PLANS[Team], hands.unit.frame))
                assert await board.top(10) == [standing(1, A, score)]
