"""Break what carries events while they flow, and look for what was lost, done twice, or done out of its order.

A service sends letters with and without a key, another notes each in a row. ``--broker`` is what joins them, as it is
set up to keep what it confirms: redis, nats, rabbitmq, kafka, database; with ``none`` one service does both, on its
outbox and inbox alone. Their rows are in files, with ``--database postgresql`` on a server of the drill's own. Clients
write all the time, and ``--what`` is done so many times:

workers     kill -9 of a process that relays or notes, or of all on one side, or of the door; it is started again.
            ``--whom`` is one of relay, consumer, relays, consumers, door, or any of them
broker      kill -9 of the broker; it is started again on what it has kept
stalls      SIGSTOP of a holder of leases for three terms of a lease (``--term`` seconds each), while others take over;
            other terms than the product's are put into a copy of it
duplicates  so many messages, published by the drill itself 1 to 5 times, shuffled in windows of ``--window``
poison      so many letters, 3 % of them poison, in ``--rounds`` with and without: time, dead letters, and redrive

Every event that was committed has one effect, in the order of its key, and within 30 s nothing waits any more. Behind
what was broken the first effects come within ``--patience`` seconds.

    scripts/drill events --count 100 --seed 7 -- --broker nats --what broker
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from event_floods import duplicates, poison
from event_terms import TERM, with_term
from post_office import BROKERS, DATABASES, STORED, PostOffice, Process, post_office
from served import Broken, Connection, Lost, parse, verdict
from told_to_end import ToldToEnd, until_told

CLIENTS = 4
LANES = 24  # keys
PAUSE = 0.1  # seconds between the letters of a client, at most
UNDER_WAY = 1000  # events: beyond that, clients wait
LAG_SECONDS = 30.0
STILL = 17.0  # that a message may be in the broker, which gives one again that was not acknowledged after 15
PATIENCE = 45.0
MORE = 5  # effects that are waited for between two strikes
LOOK_EVERY = 10
WHOM = ("relay", "relay", "consumer", "consumer", "relays", "consumers", "door")

Drilled = tuple[dict[str, Any], dict[str, Any]]


class Load:
    """Clients that send letters, over connections that are opened again when they break."""

    def __init__(self, office: PostOffice, chance: random.Random) -> None:
        self.kept: set[str] = set()  # acknowledged
        self.counts: Counter[str] = Counter()
        self.stopping = False
        self._office = office
        self._chance = chance
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._crowded = False

    def start(self) -> None:
        """Let the clients begin."""
        self._tasks = [asyncio.create_task(self._client(name)) for name in range(CLIENTS)]
        self._tasks.append(asyncio.create_task(self._brake()))

    async def stop(self) -> None:
        """Let each client end its request."""
        self.stopping = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def _brake(self) -> None:
        while not self.stopping:
            self._crowded = await asyncio.to_thread(self._office.waiting) > UNDER_WAY
            await asyncio.sleep(0.25)

    async def _client(self, name: int) -> None:
        connection = Connection(self._office.sender.port)
        while not self.stopping:
            if not self._crowded:
                await self._send(connection, f"{name}.{self._next}")
            await asyncio.sleep(self._chance.random() * PAUSE)
        connection.close()

    async def _send(self, connection: Connection, mark: str) -> None:
        self._next += 1
        count = self._chance.choice((1, 1, 2, 5))
        lane = self._chance.choice(("", str(self._chance.randrange(LANES)), str(self._chance.randrange(LANES))))
        try:
            answer = await connection.request("POST", "/letters", {"mark": mark, "lane": lane, "count": count})
        except Lost as lost:
            self.counts["unknown" if lost.sent else "lost connections"] += 1
            await asyncio.sleep(0.05)
            return
        if answer.status == 201:
            self.kept |= {f"{mark}.{number}" for number in range(count)}
        self.counts[answer.code or "sent"] += 1


class Breaker:
    """Breaks things at random moments in which effects come, and sees that they come again."""

    def __init__(self, office: PostOffice, load: Load, chance: random.Random, wanted: Any) -> None:
        self.office = office
        self.done: Counter[str] = Counter()
        self.slowest = 0.0  # seconds until the first effects behind what was broken
        self._load = load
        self._chance = chance
        self._term: float = wanted.term
        self._whom = WHOM if wanted.whom == "any" else (wanted.whom,)

    @property
    def times(self) -> int:
        """How often something was broken."""
        return sum(count for name, count in self.done.items() if not name.startswith("not "))

    async def flowing(self, patience: float) -> None:
        """Wait until more effects have come, and a moment longer: of events from before too, or of new ones only.

        So things are broken while much waits, and it is seen that what comes behind them gets through.
        """
        begun = time.monotonic()
        new = self._chance.random() < 0.5
        goal = MORE + await asyncio.to_thread(self.office.sent if new else self.office.noted)
        while await asyncio.to_thread(self.office.noted) < goal:
            if time.monotonic() > begun + patience:
                raise Broken(f"no effects for {patience:.0f} s\n{self.office.said()}")
            await asyncio.sleep(0.02)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        await asyncio.sleep(self._chance.random() * 0.25)

    async def workers(self) -> None:
        """Kill processes of the services, and start them again."""
        office, chance = self.office, self._chance
        sides = {"relay": office.relays, "consumer": office.consumers}
        choice = chance.choice(self._whom)
        chosen = [office.door]
        if choice != "door":
            side = sides[choice.rstrip("s")] or office.consumers
            chosen = side if choice.endswith("s") else [chance.choice(side)]
        for each in chosen:
            each.kill()
            self.done[each.name.split()[0]] += 1
        await asyncio.sleep(chance.random() * 0.3)
        for each in chosen:
            each.start()

    async def broker(self) -> None:
        """Kill the broker, and start it again on what it has kept."""
        server = self.office.broker
        assert server is not None
        await asyncio.to_thread(server.kill)
        self.done["broker"] += 1
        await asyncio.sleep(self._chance.random() * 0.5)
        await asyncio.to_thread(server.start_again)

    async def stalls(self) -> None:
        """Have a holder stand still for three terms. One that stands in a transaction of the file is let go at once.

        Nobody can take anything over from such a one: SQLite has one writer.
        """
        one: Process = self._chance.choice(self.office.workers)
        before = await asyncio.to_thread(self._fences, one)
        one.hold()
        try:
            if not await asyncio.to_thread(one.site.books.is_writable, self._term / 2):
                self.done["not counted: in a transaction"] += 1
                return
            await asyncio.sleep(3 * self._term)
            taken = await asyncio.to_thread(self._fences, one) > before
        finally:
            one.let_go()
        self.done[one.name.split()[0] if taken else "not counted: it held nothing"] += 1

    def _fences(self, one: Process) -> int:
        """Return the sum of all fences: it rises when a partition is taken over."""
        return one.site.number("SELECT coalesce(sum(fence), 0) FROM mainstay_lease WHERE name LIKE 'partition:%'")


async def broken(office: PostOffice, wanted: Any, chance: random.Random) -> Drilled:
    """Break something so many times under load, or until something is wrong."""
    await asyncio.to_thread(office.open)
    load = Load(office, chance)
    breaker = Breaker(office, load, chance, wanted)
    strike: Callable[[], Awaitable[None]] = getattr(breaker, wanted.what)
    load.start()
    faults: dict[str, Any] = {}
    await breaker.flowing(PATIENCE)
    breaker.slowest, strikes = 0.0, 0
    while breaker.times < wanted.count and not faults:
        await strike()
        try:
            await breaker.flowing(wanted.patience)
        except Broken:  # what is told at the end says why
            faults["no_effects"] = f"for {wanted.patience:.0f} s"
        strikes += 1
        if strikes > 3 * wanted.count:
            faults["not_broken"] = dict(breaker.done)
        if strikes % LOOK_EVERY == 0:
            faults |= await asyncio.to_thread(office.look, load.kept)
            print(f"{breaker.times} times, {len(load.kept)} events acknowledged", flush=True)
    await load.stop()
    lag, late = await settled(office)
    faults |= late | await asyncio.to_thread(office.look_at_the_end, load.kept)
    if faults:
        faults["log"] = office.said()[-3000:]
    figures = {"broken": dict(breaker.done), "events": office.sent(), "acknowledged": len(load.kept)}
    return faults, {**figures, "longest_wait_s": round(breaker.slowest, 1), "lag_0_s": lag, "seen": dict(load.counts)}


async def settled(office: PostOffice) -> tuple[float, dict[str, Any]]:
    """Wait until nothing waits any more. Returns how long that took, and what is wrong with it."""
    begun = moved = time.monotonic()
    before = 0
    while (waiting := await asyncio.to_thread(office.waiting)) and time.monotonic() < begun + LAG_SECONDS + 5:
        nowhere = await asyncio.to_thread(office.nowhere)
        moved = moved if nowhere and nowhere == before else time.monotonic()
        if time.monotonic() > moved + STILL:
            return round(time.monotonic() - begun, 1), {"nowhere": nowhere}
        before = nowhere
        await asyncio.sleep(0.1)
    lag = round(time.monotonic() - begun, 1)
    return lag, {"lag": {"seconds": lag, "waiting": waiting}} if lag > LAG_SECONDS else {}


PARTS: dict[str, tuple[Callable[[PostOffice, Any, random.Random], Coroutine[Any, Any, Drilled]], dict[str, str]]] = {
    "workers": (broken, {}),
    "broker": (broken, {}),
    "stalls": (broken, {"DRILL_NAP": "0.1"}),  # so that one is met while it notes something
    "duplicates": (duplicates, {}),
    "poison": (poison, {"DRILL_ATTEMPTS": "3"}),
}


def main(arguments: Sequence[str]) -> int:
    """Drill one thing over one broker."""
    own: dict[str, float | str] = {
        "broker": "none",
        "database": "sqlite",
        "what": "workers",
        "term": TERM,
        "whom": "any",
        "patience": PATIENCE,
        "window": 2000,
        "rounds": 3,
        "keep": 0.8,
    }
    wanted: Any = parse(arguments, __doc__, **own)
    allowed = {"broker": STORED, "duplicates": BROKERS[1:]}.get(wanted.what, BROKERS)
    choices = {"what": PARTS, "broker": allowed, "database": DATABASES, "whom": ("any", *sorted(set(WHOM)))}
    if any(getattr(wanted, name) not in known for name, known in choices.items()):
        for name, known in choices.items():
            print(f"--{name} is one of {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        return until_told(lambda: _drilled(wanted))
    except ToldToEnd as told:
        print(json.dumps({"ok": False, "seed": wanted.seed, "ended": str(told)}))
        return told.code


async def _drilled(wanted: Any) -> int:
    """Drill, end all that was started, and tell what was found."""
    chance = random.Random(wanted.seed)
    part, environ = PARTS[wanted.what]
    with (
        with_term(wanted.term, wanted.package) as package,
        post_office(wanted.broker, wanted.database, package, **environ) as office,
    ):
        try:
            faults, figures = await part(office, wanted, chance)
        finally:
            office.closing = True
            for task in asyncio.all_tasks() - {asyncio.current_task()}:  # clients, where it was cut short
                task.cancel()
            await asyncio.get_running_loop().shutdown_default_executor()  # no thread starts anything from here on
    return verdict(
        faults, seed=wanted.seed, what=wanted.what, broker=wanted.broker, database=wanted.database, **figures
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
