"""Run outbox, relay, inbox and consumers in a simulation: so many seeds, each one a run with misfortunes of its own.

Time, net, database and broker are simulated; the kernel is the real one. Replicas are killed anywhere, stand still for
several terms of a lease, are cut off from the database or the broker; requests and answers are lost; messages come
late, twice and in any order. Meanwhile nothing may be lost, done twice or out of order; afterwards all must be done, or
in the dead letters. A seed that fails fails again, step for step:

    scripts/drill simulate --count 100000 --seed 1
    scripts/drill simulate --count 1 --seed 4711 -- --trace 1
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from served import HERE, parse, verdict

if TYPE_CHECKING:
    from simulated_run import Outcome

SHOWN = 5
BATCH = 50


def main(arguments: Sequence[str]) -> int:
    """Run ``--count`` seeds from ``--seed`` on, in ``--processes`` at once; ``--until-found 1`` ends at the first."""
    wanted = parse(arguments, __doc__, processes=1, until_found=0, trace=0)
    begun = time.monotonic()
    faults: dict[str, Any] = {}
    totals = dict.fromkeys(("runs", "events", "effects", "lives", "steps"), 0)
    for outcome in _outcomes(wanted):
        totals["runs"] += 1
        for name in ("events", "effects", "lives", "steps"):
            totals[name] += getattr(outcome, name)
        if wanted.trace:
            print(*outcome.trace, f"digest {outcome.digest} after {outcome.steps} steps", sep="\n")
        if outcome.faults:
            faults[f"seed {outcome.seed}"] = outcome.faults
            print(f"seed {outcome.seed}:", *outcome.faults, sep="\n  ", flush=True)
            if wanted.until_found:
                break
        if totals["runs"] % 1000 == 0:
            print(f"{totals['runs']} runs, {len(faults)} with faults", flush=True)
    shown = dict(list(faults.items())[:SHOWN])
    seconds = round(time.monotonic() - begun, 1)
    return verdict(shown, seed=wanted.seed, failed=len(faults), seconds=seconds, **totals)


def _outcomes(wanted: Any) -> Iterator[Outcome]:
    """Walk the outcomes of the seeds, in their order."""
    seeds = range(wanted.seed, wanted.seed + wanted.count)
    path = [*([str(wanted.package)] if wanted.package else []), str(HERE)]
    if wanted.processes <= 1:
        yield from (outcome for seed in seeds for outcome in _batch(path, [seed], bool(wanted.trace)))
        return
    batches = [list(seeds[start : start + BATCH]) for start in range(0, len(seeds), BATCH)]
    with ProcessPoolExecutor(min(wanted.processes, os.cpu_count() or 1)) as pool:
        count = len(batches)
        try:
            yield from chain.from_iterable(pool.map(_batch, [path] * count, batches, [bool(wanted.trace)] * count))
        finally:
            pool.shutdown(cancel_futures=True)


def _batch(path: Sequence[str], seeds: Sequence[int], trace: bool) -> list[Outcome]:
    sys.path[:0] = [folder for folder in path if folder not in sys.path]
    from simulated_run import simulate

    return [simulate(seed, trace=trace) for seed in seeds]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main(sys.argv[1:]))
