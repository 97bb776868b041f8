"""Rate limits that all replicas share, counted in Redis by its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from hashlib import blake2b
from inspect import isawaitable
from typing import Any

from mainstay.adapters.redis.limiter_script import CHARGE
from mainstay.adapters.redis.link import RedisAway, RedisLink
from mainstay.model.limits import Limit
from mainstay.model.problem import Unavailable
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter, Verdict

SECOND = 1_000_000_000
_MICRO = 1_000_000
_NEVER = float("inf")
_OTHERS = "others"


class RedisLimiter(Limiter):
    """Count calls in Redis: all charges of a call in one round trip, all or none.

    Redis tells the time, so that clocks of replicas do not matter; ``clock`` stands in for it in tests. Quotas are
    exact where quota and window, in microseconds, multiply to less than 2^53, and to one part in 10^15 beyond. A key is
    forgotten when its quota is whole again; of those that are busy at most ``max_keys`` are kept, and what has no place
    shares one bucket for each limit.

    While Redis is away ``fallback`` counts, in this process or host alone; without one a call is refused with
    ``Unavailable``.
    """

    def __init__(
        self, link: RedisLink, *, max_keys: int = 1_000_000, fallback: Limiter | None = None, clock: Clock | None = None
    ) -> None:
        if max_keys < 1:
            raise ValueError(f"limiter: max_keys is {max_keys}, expected at least 1")
        self._link = link
        self._max_keys = max_keys
        self._fallback = fallback
        self._clock = clock
        self._script = link.client.register_script(CHARGE)
        self._constants: dict[Limit, tuple[str, ...]] = {}
        self._charged = 0
        self._without = 0

    def charge(
        self, charges: Sequence[tuple[Limit, str]], *, cost: int = 1
    ) -> Sequence[Verdict] | Awaitable[Sequence[Verdict]]:
        """Charge ``cost`` to each (limit, key), all or none. Raises ``ValueError`` where ``cost`` is less than 1."""
        if cost < 1:
            raise ValueError(f"limiter: cost is {cost}, expected at least 1")
        # A call may be driven without a task until it waits; what bounds a request needs one.
        return asyncio.ensure_future(self._asked(charges, cost, "charge")) if charges else []

    def peek(self, charges: Sequence[tuple[Limit, str]]) -> Sequence[Verdict] | Awaitable[Sequence[Verdict]]:
        """Say what ``charge`` would answer, and charge nothing."""
        return asyncio.ensure_future(self._asked(charges, 1, "peek")) if charges else []

    async def _asked(self, charges: Sequence[tuple[Limit, str]], cost: int, how: str) -> Sequence[Verdict]:
        base = self._link.base
        keys = [f"{base}busy"]
        now = "" if self._clock is None else str(int(self._clock.monotonic() * _MICRO))
        arguments: list[Any] = [now, cost, how, self._max_keys]
        for limit, key in charges:
            name = f"{base}{limit.name}:{limit.by}:{limit.algorithm}:{limit.quota}:{limit.window}:{limit.burst}:"
            # A digest, for keys are of any length, and name people.
            keys += [name + blake2b(key.encode(), digest_size=16).hexdigest(), name + _OTHERS]
            arguments += self._constants_of(limit)
        try:
            answers = await self._link.run(self._script, keys, arguments)
        except RedisAway as away:
            return await self._alone(charges, cost, how, away)
        self._charged += 1
        return [
            Verdict(limit, bool(allowed), left, reset / _MICRO, _NEVER if retry < 0 else retry / _MICRO)
            for (limit, _), (allowed, left, reset, retry) in zip(charges, answers, strict=True)
        ]

    async def _alone(
        self, charges: Sequence[tuple[Limit, str]], cost: int, how: str, away: RedisAway
    ) -> Sequence[Verdict]:
        self._without += 1
        if self._fallback is None:
            raise Unavailable("calls cannot be counted now", retry_after=1.0) from away
        found = self._fallback.charge(charges, cost=cost) if how == "charge" else self._fallback.peek(charges)
        return await found if isawaitable(found) else found

    def _constants_of(self, limit: Limit) -> tuple[str, ...]:
        found = self._constants.get(limit)
        if found is None:
            if limit.algorithm == "sliding-window":
                found = ("window", str(limit.window * _MICRO), str(limit.quota))
            else:
                interval = -(-limit.window * SECOND // limit.quota)
                found = ("bucket", str(interval), str((limit.burst or limit.quota) * interval))
            self._constants[limit] = found
        return found

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""
        return {"redis_charges": self._charged, "charges_without_redis": self._without, **self._link.statistics()}

    async def aclose(self) -> None:
        """Let the connections go."""
        await self._link.close()

    def close(self) -> None:
        """Let go what the fallback holds."""
        close = getattr(self._fallback, "close", None)
        if close is not None:
            close()
