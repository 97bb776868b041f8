"""One round of one contender: so many events at once, or at a fixed rate, until each has had its effect."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from bench.checks import Unequal
from bench.events.load import PATIENCE
from bench.events.running import Running
from bench.install import ROOT
from bench.openloop import percentile
from bench.processes import pins

_LOOK = 0.1
_STALLED = 60.0  # seconds without an effect


@dataclass(frozen=True)
class Burst:
    """A round at full load: events a second from the first commit to the last effect, processor seconds a thousand.

    ``store`` and ``broker`` are what those used beside; ``refused`` calls were sent again.
    """

    rate: float
    cpu: float
    store: float
    broker: float
    refused: int


@dataclass(frozen=True)
class Steady:
    """A round at a fixed rate: milliseconds from the commit of the row to that of the effect."""

    p50: float
    p99: float


def burst(one: Running, count: int) -> Burst:
    """Commit so many events as fast as it goes. Raises ``Unequal`` where one has not one effect."""
    known = set(one.orders())
    used = _used(one)
    refused = _load(one, count, 0)
    _wait(one, len(known) + count)
    cpu, store, broker = (now - before for now, before in zip(_used(one), used, strict=True))
    one.settle()
    orders, effects = _flowed(one, known, count)
    seconds = max(effects.values()) - min(orders.values())
    part = 1000 / count
    return Burst(count / seconds, cpu * part, store * part, broker * part, refused)


def steady(one: Running, count: int, rate: int) -> Steady:
    """Commit so many events at a rate. Raises ``Unequal`` where one has not one effect."""
    known = set(one.orders())
    _load(one, count, rate)
    _wait(one, len(known) + count)
    one.settle()
    orders, effects = _flowed(one, known, count)
    waits = [(effects[key] - orders[key]) * 1000 for key in orders]
    return Steady(percentile(waits, 0.5), percentile(waits, 0.99))


def _used(one: Running) -> tuple[float, float, float]:
    return one.cpu(), one.place.shop.cpu(), one.place.broker.cpu()


def _load(one: Running, count: int, rate: int) -> int:
    """Send the calls. Returns how many had to be sent again."""
    words = [str(one.place.port), str(count), *([str(rate)] if rate else [])]
    done = subprocess.run(
        [*pins()[1], sys.executable, "-m", "bench.events.load", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE + 60,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"{one.contender.name}: {done.stderr[-1000:]}\n{one.said()}")
    told: dict[str, int] = json.loads(done.stdout)
    if told["lost"]:
        raise RuntimeError(f"{one.contender.name}: {told['lost']} calls got no answer\n{one.said()}")
    return told["refused"]


def _wait(one: Running, goal: int) -> None:
    """Wait until there are so many effects."""
    seen, since = -1, time.monotonic()
    while (now := one.effects()) < goal:
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() > since + _STALLED:
            raise Unequal(f"{one.contender.name}: {now} of {goal} effects, and no more come\n{one.said()}")
        time.sleep(_LOOK)


def _flowed(one: Running, known: set[UUID], count: int) -> tuple[dict[UUID, float], dict[UUID, float]]:
    """Return when the new orders were committed, and when their effects."""
    orders, done = one.orders(), one.done()
    if fault := fault_of(orders, [key for key, _ in done]):
        raise Unequal(f"{one.contender.name}: {fault}\n{one.said()}")
    new = {key: moment for key, moment in orders.items() if key not in known}
    if len(new) != count:
        raise Unequal(f"{one.contender.name}: {len(new)} orders were committed for {count} calls that succeeded")
    return new, {key: moment for key, moment in done if key in new}


def fault_of(orders: Mapping[UUID, float], effects: Sequence[UUID]) -> str:
    """Return what is wrong where not each order has one effect."""
    times = Counter(effects)
    lost, strange = len(orders.keys() - times.keys()), len(times.keys() - orders.keys())
    doubled = sum(count > 1 for count in times.values())
    words = ((lost, "orders have no effect"), (doubled, "have more than one"), (strange, "effects have no order"))
    return ", ".join(f"{number} {text}" for number, text in words if number)
