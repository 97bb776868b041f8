"""Kill the PostgreSQL primary under write load, promote its standby, and look for what was lost or done twice.

Clients write through two workers, as in ``cuts``, to a primary that commits on a standby before it answers. The primary
is killed with SIGKILL, the standby promoted, and a copy of it takes the place of the standby, again and again; every
second time the standby is cut off a little before, so that the primary has what nobody else has. The URL names both
hosts. No acknowledged write may be lost, none done twice, no refused one kept; an unknown outcome is told as
such; liveness never fails; a write is acknowledged within two seconds of a promotion.

    scripts/drill failover --count 20 --seed 7
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import asyncpg
from drill_cuts import Liveness, Load, ask, settled
from served import HERE, Broken, Service, parse, serving, verdict

sys.path.insert(0, str(HERE.parent / "plugins"))

from own_postgres import OwnServer, own_pair

HEALED_SECONDS = 2.0
PATIENCE = 30.0
PAUSE_SECONDS = 0.5  # of load on one primary, at least
CUT_OFF_SECONDS = 0.3


class Pair:
    """A primary and its standby, which change their places."""

    def __init__(self, primary: OwnServer, standby: OwnServer) -> None:
        self.primary = primary
        self.standby = standby
        self.url = primary.url.replace("/postgres", f",127.0.0.1:{standby.port}/postgres?target_session_attrs=primary")

    async def synchronous(self) -> None:
        """Have the primary wait for its standby in every commit, and wait until it does."""
        await self.primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        async with asyncio.timeout(PATIENCE):
            while [row[0] for row in await self.primary.ask("SELECT sync_state FROM pg_stat_replication")] != ["sync"]:
                await asyncio.sleep(0.02)

    async def fail_over(self, *, cut_off: bool) -> float:
        """Kill the primary, maybe after the standby was cut off, and promote the standby; return when it was one."""
        connection = await asyncpg.connect(self.standby.url)
        try:
            if cut_off:
                await connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
                await connection.execute("SELECT pg_reload_conf()")
                await asyncio.sleep(CUT_OFF_SECONDS)
            await asyncio.to_thread(self.primary.kill, signal.SIGKILL)
            await connection.execute("SELECT pg_promote(false)")
            async with asyncio.timeout(PATIENCE):
                while await connection.fetchval("SELECT pg_is_in_recovery()"):
                    await asyncio.sleep(0.005)
            promoted = time.monotonic()
        finally:
            await connection.close()
        self.primary, self.standby = self.standby, self.primary
        return promoted

    async def restore(self) -> None:
        """Make a standby of what was the primary."""
        await asyncio.to_thread(self.standby.copy, self.primary)
        await asyncio.to_thread(self.standby.start)
        await self.synchronous()


class Watch:
    """What is looked at while the servers change."""

    def __init__(self, service: Service, load: Load) -> None:
        self.slowest: dict[str, float] = {"first_write": 0.0, "ready": 0.0}
        self.wrong: list[str] = []
        self._service = service
        self._load = load

    async def healed(self, promoted: float) -> None:
        """Wait for the next acknowledged write, and for readiness."""
        await asyncio.gather(
            self._timed("first_write", promoted, self._writes()), self._timed("ready", promoted, self._ready())
        )

    async def _timed(self, name: str, promoted: float, done: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await done
        except TimeoutError as late:
            raise Broken(f"{name}: nothing for {PATIENCE} s\n{self._service.said()}") from late
        taken = max(0.0, time.monotonic() - promoted)
        self.slowest[name] = max(self.slowest[name], taken)
        if taken > HEALED_SECONDS:
            self.wrong.append(f"{name} {taken:.1f} s after a promotion")

    async def _writes(self) -> None:
        before = len(self._load.kept)
        while len(self._load.kept) == before:
            await asyncio.sleep(0.005)

    async def _ready(self) -> None:
        while await ask(self._service.port, "/ready") != 200:
            await asyncio.sleep(0.02)


async def drill(
    service: Service, pair: Pair, wanted: Any, chance: random.Random
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fail over so many times; return the faults and the figures."""
    load = Load(service.port, chance)
    watch, liveness = Watch(service, load), Liveness(service.port)
    load.start()
    for number in range(1, wanted.count + 1):
        await asyncio.sleep(PAUSE_SECONDS + chance.random())
        await watch.healed(await pair.fail_over(cut_off=number % 2 == 1))
        await pair.restore()
        print(f"{number} fail-overs, {len(load.kept)} writes acknowledged", flush=True)
    await load.stop()
    await liveness.stop()
    faults = await settled(pair.primary, load)
    found = {"wrong_answers": load.wrong[:5], "healing": watch.wrong[:5], "liveness": dict(liveness.failed)}
    faults |= {name: what for name, what in found.items() if what}
    figures = {
        "fail_overs": wanted.count,
        "acknowledged": len(load.kept),
        "refused": len(load.refused),
        "liveness_asked": liveness.asked,
        "slowest_seconds": {name: round(seconds, 2) for name, seconds in watch.slowest.items()},
        "answers": dict(load.counts),
    }
    return faults, figures


async def run(pair: Pair, wanted: Any, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Serve the ledger from the pair, and drill it."""
    if wanted.synchronous:
        await pair.synchronous()
    with contextlib.ExitStack() as stack:
        given = {"workers": wanted.workers, "package": wanted.package, "MAINSTAY_DATABASE_URL": pair.url}
        service = await asyncio.to_thread(stack.enter_context, serving(**given))
        return await drill(service, pair, wanted, chance)


def main(arguments: Sequence[str]) -> int:
    """Fail over ``--count`` times."""
    wanted = parse(arguments, __doc__, workers=2, synchronous=1)
    with own_pair() as (primary, standby):
        faults, figures = asyncio.run(run(Pair(primary, standby), wanted, random.Random(wanted.seed)))
    return verdict(faults, seed=wanted.seed, workers=wanted.workers, **figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
