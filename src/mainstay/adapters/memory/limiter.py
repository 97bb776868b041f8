"""Rate limits of one process."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace

from mainstay.kernel.guard.gcra import SECOND, Meter, meter
from mainstay.model.limits import Limit
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter, Verdict

_LOOKS = 32  # entries of the queue that one new key may bring up to date
_MAX_ALIASES = 4096


_OVERFLOW = "\0overflow"  # no key of a caller: subjects and addresses hold no control characters


class _Table:
    """The states of one limit's keys, and the state that keys without a place share."""

    __slots__ = ("meter", "number", "states", "take")

    def __init__(self, number: int, meter: Meter) -> None:
        self.number = number
        self.meter = meter
        self.take = meter.take
        self.states: dict[str, int] = {_OVERFLOW: 0}


class MemoryLimiter(Limiter):
    """Count calls in a dictionary: exact, for a single process.

    At most ``max_keys`` keys are remembered (about 300 bytes each). A new key in a full table takes the place of one
    whose quota is whole again; where none is, it shares one bucket with the other newcomers of its limit. Each key
    stands once in a queue by the moment it is idle, which is brought up to date only when a place is needed: no call
    looks at more than 32 entries.

    Limits that are equal share their counts. Raises ``ValueError`` where ``max_keys`` is less than 1.
    """

    def __init__(self, clock: Clock, *, max_keys: int = 65_536) -> None:
        if max_keys < 1:
            raise ValueError(f"limiter: max_keys is {max_keys}, expected at least 1")
        self._monotonic = clock.monotonic
        self._max_keys = max_keys
        self._tables: dict[Limit, _Table] = {}
        self._by_number: list[_Table] = []
        # To hash a limit costs more than all the rest, so its table is found by its identity; the limit is kept beside
        # it, or its identity could become another's.
        self._by_identity: dict[int, tuple[Limit, _Table]] = {}
        self._queue: list[tuple[int, int, str]] = []

    def charge(self, charges: Sequence[tuple[Limit, str]], *, cost: int = 1) -> list[Verdict]:
        """Charge ``cost`` to each (limit, key), all or none. Raises ``ValueError`` where ``cost`` is less than 1."""
        if cost < 1:
            raise ValueError(f"limiter: cost is {cost}, expected at least 1")
        now = int(self._monotonic() * SECOND)
        if len(charges) == 1:
            limit, key = charges[0]
            found = self._by_identity.get(id(limit))
            table = found[1] if found is not None else self._table(limit)
            before = table.states.get(key)
            if before is None:
                return [self._take(table, key, now, cost)[2]]
            table.states[key], verdict = table.take(before, now, cost)
            return [verdict]
        verdicts: list[Verdict] = []
        undo: list[tuple[_Table, str, int]] = []
        refused = False
        for limit, key in charges:
            table = self._table(limit)
            seat, before, verdict = self._take(table, key, now, cost)
            undo.append((table, seat, before))
            verdicts.append(verdict)
            refused = refused or not verdict.allowed
        return self._give_back(undo, verdicts, now) if refused else verdicts

    def peek(self, charges: Sequence[tuple[Limit, str]]) -> list[Verdict]:
        """Say what ``charge`` would answer, and charge nothing."""
        now = int(self._monotonic() * SECOND)
        verdicts = []
        for limit, key in charges:
            table = self._table(limit)
            state = table.states.get(key)
            if state is None:
                state = 0 if self._has_room(now) else table.states[_OVERFLOW]
            verdicts.append(table.take(state, now, 1)[1])
        return verdicts

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._queue)

    def _table(self, limit: Limit) -> _Table:
        found = self._by_identity.get(id(limit))
        if found is not None:
            return found[1]
        table = self._tables.get(limit)
        if table is None:
            table = self._tables[limit] = _Table(len(self._by_number), meter(limit))
            self._by_number.append(table)
        if len(self._by_identity) < _MAX_ALIASES:
            self._by_identity[id(limit)] = (limit, table)
        return table

    def _take(self, table: _Table, key: str, now: int, cost: int) -> tuple[str, int, Verdict]:
        """Charge one key; return where it was counted, the state before, and the verdict."""
        states = table.states
        before = states.get(key)
        if before is not None:
            states[key], verdict = table.take(before, now, cost)
            return key, before, verdict
        if not self._has_room(now):
            before = states[_OVERFLOW]
            states[_OVERFLOW], verdict = table.take(before, now, cost)
            return _OVERFLOW, before, verdict
        state, verdict = table.take(0, now, cost)
        states[key] = state
        heappush(self._queue, (table.meter.idle_at(state), table.number, key))
        return key, 0, verdict

    def _has_room(self, now: int) -> bool:
        """Say whether a new key finds a place, and make one where a key is idle."""
        queue = self._queue
        if len(queue) < self._max_keys:
            return True
        for _ in range(_LOOKS):
            idle_at, number, key = queue[0]
            if idle_at > now:
                return False
            table = self._by_number[number]
            idle_at = table.meter.idle_at(table.states[key])
            if idle_at <= now:
                heappop(queue)
                del table.states[key]
                return True
            heapreplace(queue, (idle_at, number, key))
        return False

    @staticmethod
    def _give_back(undo: list[tuple[_Table, str, int]], verdicts: list[Verdict], now: int) -> list[Verdict]:
        for (table, seat, before), verdict in zip(reversed(undo), reversed(verdicts), strict=True):
            if verdict.allowed:  # a refusal charged nothing
                table.states[seat] = before
        return [
            # What a limit says that would have let the call pass: a call of no cost tells how it stands.
            verdict if not verdict.allowed else table.take(table.states[seat], now, 0)[1]
            for (table, seat, _), verdict in zip(undo, verdicts, strict=True)
        ]
