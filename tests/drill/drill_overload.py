"""Ask a service for ten times what it can do, and watch what becomes of those whom it serves and of those whom not.

For each workload of the shop: its capacity (a closed loop), how it is at rest (half of that), then ten times the
capacity by an open loop for --count seconds, then rest again. A shared machine may be twice as quick as it was a moment
ago, so the goodput is taken pair by pair: some seconds at capacity, some in an overload, ten times over in a drill of a
minute. Served: at least 0.8 of the capacity (the median), with a p99 under three times that at rest. Turned away: 503
or 429, within 50 ms. Memory flat, health answered all the time, and normal again within 5 s.

To read a request and to turn it away costs a processor 15 to 30 microseconds, most of it the kernel's, however cheap
the request would have been. Where one that is served costs less than 45 times as much, less than 0.8 of the time is
left at ten times the capacity. So the workloads are a shop's dearer ones: pages of 200 products, orders of ten lines,
and a mix of both with a customer's first fifty orders and their lines. The last one is cheaper: its times are told and
not judged, but nobody may be lost, the memory must not grow, and it must be well while it lasts and normal after it.

    scripts/drill overload --count 60 --seed 7
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from busy_shop import Shop, open_shop, stock, workloads
from open_loop import Found, Generator, Request
from served import ask, parse, quantile, verdict

CLIENTS = 32  # of the closed loop
CONNECTIONS = 2000
TIMES = 10
PAIR = 6.0  # seconds
ONSET = 1.0  # seconds: those who come before the overload is noticed wait with all others


class Ease(NamedTuple):
    """How strict the verdict is."""

    goodput: float  # of the capacity, at least
    slower: float  # times as slow as at rest, at most
    refused: float  # seconds, of all but one in a thousand
    normal: float  # seconds
    health: float  # seconds, at most
    rest: float  # of the capacity
    least: float  # seconds that are never too slow

    def slow(self, rest: Found) -> float:
        """Return the p99 that is too slow, given how it is at rest."""
        return max(self.slower * rest.p(0.99), self.least)


STRICT = Ease(0.8, 3.0, 0.05, 5.0, 0.5, 0.5, 0.0)
CROWDED = Ease(0.02, 20.0, 1.0, 2.0, 1.0, 0.1, 0.75)  # on a machine that has other things to do, more or less of them


class Beside:
    """What is looked at while the load lasts: memory, and whether the service says that it lives."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._next = 0.0
        self.memory: list[int] = []
        self.health: list[float] = []
        self.unwell: list[str] = []

    def __call__(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + 0.5
        self.memory.append(self._shop.resident())
        begun = time.monotonic()
        try:
            status, _ = ask(self._shop.port, "/health")
        except OSError as error:
            self.unwell.append(repr(error))
        else:
            self.health.append(time.monotonic() - begun)
            if status != 200:
                self.unwell.append(str(status))

    @property
    def growth(self) -> float:
        """How much more memory there was in the last third than after the first."""
        third = max(1, len(self.memory) // 3)
        return quantile(self.memory[-third:], 0.5) / quantile(self.memory[third : 2 * third] or self.memory, 0.5) - 1


def normal_after(after: Found, calm: Found, ease: Ease) -> float:
    """Return after how many seconds nothing was turned away and answers were as quick as before, to the end."""
    step, last = 0.5, 0.0
    bound = ease.slow(calm) + 0.005  # half a second has few calls
    for number in range(int(after.seconds / step)):
        since, until = number * step, (number + 1) * step
        refused = any(since <= at < until for at in after.refused_at)
        if refused or after.p(0.99, since, until) > bound:
            last = until
    return last


class Phases(NamedTuple):
    """What was found in each part of a drill, and beside it."""

    capacity: float
    rest: Found
    over: Found
    after: Found
    beside: Beside
    goodput: list[float]  # of the capacity a moment before


def run(shop: Shop, requests: list[Request], seconds: float, seed: int, ease: Ease) -> Phases:
    """Measure the capacity, then rest, ask for too much, and rest again; then the goodput, pair by pair."""
    generator = Generator(shop.port, requests, CONNECTIONS, seed)
    short = max(1.5 if ease is STRICT else 0.7, seconds / 10)
    try:
        generator.closed(CLIENTS, short)
        capacity = generator.closed(CLIENTS, 2 * short).goodput
        rest = generator.open(capacity * ease.rest, 2 * short)
        beside = Beside(shop)
        over = generator.open(capacity * TIMES, seconds, beside)
        after = generator.open(capacity * ease.rest, ease.normal + 1.0)
        pairs = [_pair(generator, capacity * TIMES) for _ in range(int(seconds / PAIR))]
    finally:
        generator.close()
    return Phases(capacity, rest, over, after, beside, pairs or [over.goodput / capacity])


def _pair(generator: Generator, rate: float) -> float:
    """Return the goodput in an overload as a part of the capacity a moment before."""
    full, over = generator.closed(CLIENTS, PAIR / 2), generator.open(rate, PAIR / 2)
    since = PAIR / 6  # what was before is over by then
    served = [sum(since <= at < PAIR / 2 for at in one.served_at) for one in (full, over)]
    return served[1] / max(1, served[0])


def judge(found: Phases, seconds: float, ease: Ease, *, feasible: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the figures of a drill and its faults. What is not ``feasible`` is judged by what was answered only."""
    capacity, rest, over, after, beside, pairs = found
    goodput = quantile(pairs, 0.5)
    warm = ONSET if seconds < 30 else 0.0  # of a short drill the beginning would be too great a part
    served_p99 = over.p(0.99, warm)
    late = [took for at, took in zip(over.refused_at, over.refused, strict=True) if at >= ONSET]
    refused = quantile(late, 0.999) if late else 0.0
    normal = normal_after(after, rest, ease)
    health = max(beside.health, default=float("inf"))
    figures = {
        "capacity": round(capacity),
        "offered": round(over.rate / capacity, 1),
        "goodput": [round(part, 2) for part in (min(pairs), goodput, max(pairs))],
        "served_p99_ms": [round(1000 * rest.p(0.99), 2), round(1000 * served_p99, 2)],
        "refused_p999_ms": round(1000 * refused, 1),
        "refused_at_onset_max_ms": round(1000 * max(over.refused, default=0.0), 1),
        "memory_growth": round(beside.growth, 3),
        "health_max_ms": round(1000 * health, 1),
        "normal_after_s": normal,
    }
    broken = {
        "offered": ease is STRICT and feasible and over.rate < 0.8 * TIMES * capacity,
        "goodput": feasible and goodput < ease.goodput,
        "served_p99": feasible and served_p99 > ease.slow(rest),
        "refused_late": feasible and refused > ease.refused,
        "not_turned_away": not over.refused,
        "other_statuses": bool({status for _, status in over.statuses} - {200, 201, 429, 503}),
        "lost": bool(over.lost or after.lost),
        "memory": beside.growth > 0.05,
        "health": bool(beside.unwell) or health > ease.health,
        "not_normal": normal > ease.normal,
    }
    return figures, [fault for fault, is_so in broken.items() if is_so]


def main(arguments: Sequence[str]) -> int:
    """Drill each workload, or ``--only NUMBER``; ``--crowded 1`` judges mildly, for a machine that is busy."""
    wanted = parse(arguments, __doc__, only=-1, crowded=0)
    ease = CROWDED if wanted.crowded else STRICT
    told: dict[str, dict[str, Any]] = {}
    faults: dict[str, list[str]] = {}
    with open_shop(wanted.package) as shop:
        for number, (name, requests) in enumerate(workloads(stock(shop)).items()):
            if wanted.only not in (-1, number):
                continue
            found = run(shop, requests, float(wanted.count), wanted.seed, ease)
            for phase, one in (("at rest", found.rest), ("over", found.over), ("after", found.after)):
                print(f"{name}, {phase}: {one.told()}", flush=True)
            told[name], wrong = judge(found, wanted.count, ease, feasible=name != "cheap")
            print(f"{name}: {told[name]} {wrong}", flush=True)
            if wrong:
                faults[name] = wrong
                print("\n".join(shop.tracebacks()[:3]), flush=True)
    return verdict(faults, seed=wanted.seed, workloads=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
