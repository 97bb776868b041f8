"""Leaderboards as sorted sets of Redis: every question takes logarithmic time, and no write is part of a commit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from mainstay.adapters.redis.link import RedisAway, RedisLink
from mainstay.model.problem import Unavailable
from mainstay.model.structs import Entity
from mainstay.ports.leaderboard import (
    MAX_SCORE,
    PLACES,
    Leaderboard,
    Standing,
    checked_name,
    checked_number,
    member_of,
    out_of_range,
    parts_of,
    ranked,
    score_of,
)

E = TypeVar("E", bound=Entity)

# Scores are kept negative: the order of the set is that of the board then, with those of one score by their ids.
_INCREMENT = """
local parts = (tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1])) or 0) - tonumber(ARGV[2])
if math.abs(parts) > tonumber(ARGV[3]) then return false end
redis.call('ZADD', KEYS[1], string.format('%.0f', parts), ARGV[1])
return string.format('%.0f', parts)
"""

_RANK = """
local parts = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not parts then return false end
return {redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. parts) + 1, parts}
"""

_AROUND = """
local place, n = redis.call('ZRANK', KEYS[1], ARGV[1]), tonumber(ARGV[2])
if not place then return false end
local first = math.max(0, place - n)
local rows = redis.call('ZRANGE', KEYS[1], first, place + n, 'WITHSCORES')
return {first, redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. rows[2]) + 1, rows}
"""


class RedisLeaderboards:
    """The leaderboards of a service: ``board`` returns the one of a name. Keep them in a Redis that saves to disk.

    While it is away every question is ``Unavailable``; whether a write that fails so was done is not known.
    """

    def __init__(self, link: RedisLink) -> None:
        self.link = link
        script = link.client.register_script
        self.increment, self.rank, self.around = script(_INCREMENT), script(_RANK), script(_AROUND)

    def board(self, name: str) -> Leaderboard[Any]:
        """Return a board."""
        return RedisLeaderboard(self, name)

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""
        return self.link.statistics()

    async def close(self) -> None:
        """Let the connections go."""
        await self.link.close()


class RedisLeaderboard(Leaderboard[E]):
    """One board. What is written is written at once, and stays where the call comes to nothing."""

    __slots__ = ("_all", "_key", "_name")

    def __init__(self, all: RedisLeaderboards, name: str) -> None:
        self._all = all
        self._name = name
        self._key = all.link.base + name

    def of(self, name: str) -> RedisLeaderboard[E]:
        """Return another board of the same entity. Raises ``ValueError`` for a name that is none."""
        return RedisLeaderboard(self._all, f"{self._name.partition('#')[0]}#{checked_name(name)}")

    async def add(self, member: E | UUID, score: int | Decimal) -> None:
        await self._asked("zadd", {member_of(member).hex: -parts_of(score)})

    async def increment(self, member: E | UUID, by: int | Decimal = 1) -> Decimal:
        most = MAX_SCORE * PLACES
        parts = await self._run(self._all.increment, member_of(member).hex, parts_of(by), most)
        if parts is None:
            raise out_of_range()
        return score_of(-int(parts))

    async def rank(self, member: E | UUID) -> Standing | None:
        id_ = member_of(member)
        found = await self._run(self._all.rank, id_.hex)
        return None if found is None else Standing(rank=found[0], member=id_, score=score_of(-int(float(found[1]))))

    async def top(self, n: int) -> list[Standing]:
        rows = await self._asked("zrange", 0, checked_number(n) - 1, withscores=True)
        return ranked([(UUID(member.decode()), -int(parts)) for member, parts in rows], 0, 1)

    async def around(self, member: E | UUID, n: int) -> list[Standing]:
        found = await self._run(self._all.around, member_of(member).hex, checked_number(n, 0))
        if found is None:
            return []
        place, rank, flat = found
        rows = zip(flat[::2], flat[1::2], strict=True)
        return ranked([(UUID(name.decode()), -int(float(parts))) for name, parts in rows], place, rank)

    async def remove(self, member: E | UUID) -> bool:
        return bool(await self._asked("zrem", member_of(member).hex))

    async def clear(self) -> None:
        await self._asked("unlink")

    async def _run(self, script: Any, *arguments: Any) -> Any:
        try:
            return await self._all.link.run(script, [self._key], arguments)
        except RedisAway as away:
            raise _away() from away

    async def _asked(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return await self._all.link.ask(
                lambda: getattr(self._all.link.client, command)(self._key, *arguments, **options)
            )
        except RedisAway as away:
            raise _away() from away


def _away() -> Unavailable:
    return Unavailable("the leaderboard cannot be reached now", retry_after=1.0)
