"""Rate limits that hold for all the worker processes of a host together."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from mainstay.adapters.local.shared_table import SharedTable
from mainstay.kernel.guard.gcra import SECOND, meter
from mainstay.model.limits import Limit
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter, Verdict

_MAX_ALIASES = 4096
_MAX_HOMES = 4096

_Home = tuple[int, int, bytes, "_Rate"]  # address of the lock, offset of the stripe, hash of the key


class _Rate:
    """A limit as the table knows it: its arithmetic, its keys' hashes, its shared bucket."""

    __slots__ = ("_begun", "_table", "homes", "idle_at", "overflow_key", "take")

    def __init__(self, limit: Limit, table: SharedTable) -> None:
        arithmetic = meter(limit)
        self.take = arithmetic.take
        self.idle_at = arithmetic.idle_at
        self.homes: dict[str, _Home] = {}
        self._table = table
        name = f"{limit.name}\0{limit.algorithm}\0{limit.quota}\0{limit.window}\0{limit.burst}\0"
        self._begun = blake2b(name.encode(), key=table.salt, digest_size=8)
        self.overflow_key = self._hash("\0overflow")

    def home(self, name: str) -> _Home:
        """Find out where a key belongs, and remember it: to hash it costs as much as to charge it."""
        key = self._hash(name)
        stripe = self._table.at(int.from_bytes(key, "little") % self._table.stripes)
        home = (self._table.address + stripe, stripe, key, self)
        if len(self.homes) >= _MAX_HOMES:
            self.homes.clear()
        self.homes[name] = home
        return home

    def _hash(self, name: str) -> bytes:
        hasher = self._begun.copy()
        hasher.update(name.encode("utf-8", "surrogatepass"))
        return hasher.digest()


class SharedLimiter(Limiter):
    """Count calls in a mapped file: one limit for all processes of a host that open the same ``path``.

    The file has a fixed size (about 33 bytes a key) and belongs to one user; put it where memory is, such as /dev/shm
    or the service's run directory. Counts are exact, and no call is admitted twice when a process is killed at any
    moment. Keys are kept as keyed hashes of 64 bits, in stripes of 128: a new key takes an empty place of its stripe or
    that of a key whose quota is whole again; where the stripe has neither, it shares one bucket with the other
    newcomers of its limit.

    A process that was stopped while it held a stripe delays each of the others once, by a second; until it goes on,
    that stripe is used without its lock, and counts there may be short by the calls that meet.

    ``clock.monotonic()`` must be the same in all the processes, as it is on Linux. Raises ``ValueError`` where
    ``max_keys`` is less than 1, ``OSError`` where the file cannot be made or the system has no robust mutexes.
    """

    def __init__(self, path: str | Path, clock: Clock, *, max_keys: int = 131_072) -> None:
        if max_keys < 1:
            raise ValueError(f"limiter: max_keys is {max_keys}, expected at least 1")
        self._table = SharedTable(Path(path), max_keys)
        self._monotonic = clock.monotonic
        self._release = self._table.locks.release
        self._rates: dict[Limit, _Rate] = {}
        # A limit is found by its identity, and kept, or its identity could become another's.
        self._by_identity: dict[int, tuple[Limit, _Rate]] = {}

    def close(self) -> None:
        """Unmap the file; it stays for the other processes."""
        self._table.close()

    def charge(self, charges: Sequence[tuple[Limit, str]], *, cost: int = 1) -> list[Verdict]:
        """Charge ``cost`` to each (limit, key), all or none. Raises ``ValueError`` where ``cost`` is less than 1."""
        if cost < 1:
            raise ValueError(f"limiter: cost is {cost}, expected at least 1")
        return self._decide(charges, cost, keep=True)

    def peek(self, charges: Sequence[tuple[Limit, str]]) -> list[Verdict]:
        """Say what ``charge`` would answer, and charge nothing."""
        return self._decide(charges, 1, keep=False)

    def _decide(self, charges: Sequence[tuple[Limit, str]], cost: int, *, keep: bool) -> list[Verdict]:
        homes = []
        for limit, name in charges:
            found = self._by_identity.get(id(limit))
            rate = found[1] if found is not None else self._rate(limit)
            homes.append(rate.homes.get(name) or rate.home(name))
        acquire = self._table.locks.acquire
        held: list[int] = []
        try:
            # In one order in all processes, so that none waits for another in a circle; shared buckets come last.
            for address in [homes[0][0]] if len(homes) == 1 else sorted({home[0] for home in homes}):
                if acquire(address):
                    held.append(address)  # noqa: PERF401 - one by one: what is held when one fails is released
            return self._take(homes, held, int(self._monotonic() * SECOND), cost, keep=keep)
        finally:
            for address in held:
                self._release(address)

    def _take(self, homes: list[_Home], held: list[int], now: int, cost: int, *, keep: bool) -> list[Verdict]:
        """Charge one after the other, and undo it where one refuses: the stripes are held, nobody sees it."""
        find, read, write = self._table.find, self._table.read, self._table.write
        verdicts: list[Verdict] = []
        undo: list[tuple[_Rate, int, int]] = []
        refused = False
        for home in homes:
            _, stripe, key, rate = home
            slot = find(stripe, key)
            if slot < 0:
                slot = self._new_slot(home, now, held, keep=keep)
            before = read(slot) if slot >= 0 else 0
            state, verdict = rate.take(before, now, cost)
            verdicts.append(verdict)
            if keep:
                write(slot, state, rate.idle_at(state))
                undo.append((rate, slot, before))
                refused = refused or not verdict[1]
        return self._give_back(undo, verdicts, now) if refused else verdicts

    def _give_back(self, undo: list[tuple[_Rate, int, int]], verdicts: list[Verdict], now: int) -> list[Verdict]:
        """Undo what was charged to the limits that would have let the call pass, and say how they stand."""
        standing = list(verdicts)
        for number in reversed(range(len(undo))):  # backwards: a key may stand twice in one call
            if verdicts[number].allowed:
                rate, slot, before = undo[number]
                # What stood before, said of this moment: a window that was entered is never left again.
                state, standing[number] = rate.take(before, now, 0)
                self._table.write(slot, state, rate.idle_at(state))
        return standing

    def _new_slot(self, home: _Home, now: int, held: list[int], *, keep: bool) -> int:
        """Return the slot that a new key gets, that of the shared bucket, or -1 for a free one only asked for."""
        table = self._table
        _, stripe, key, rate = home
        slot = table.place(stripe, now)
        if slot < 0:
            return self._shared_slot(rate, held)
        if not keep:
            return -1
        table.seat(stripe, slot, key)
        return slot

    def _shared_slot(self, rate: _Rate, held: list[int]) -> int:
        table = self._table
        stripe = table.overflow
        address = table.address + stripe
        if address not in held and table.locks.acquire(address):
            held.append(address)
        slot = table.find(stripe, rate.overflow_key)
        if slot >= 0:
            return slot
        slot = table.place(stripe, 0)
        if slot < 0:  # more limits than places: they share
            return table.slot(stripe, rate.overflow_key[0] % table.ways)
        table.seat(stripe, slot, rate.overflow_key)
        return slot

    def _rate(self, limit: Limit) -> _Rate:
        rate = self._rates.get(limit)
        if rate is None:
            rate = self._rates[limit] = _Rate(limit, self._table)
        if len(self._by_identity) < _MAX_ALIASES:
            self._by_identity[id(limit)] = (limit, rate)
        return rate
