"""Measure events from commit to effect: ``scripts/bench --events``.

scripts/bench --events                    all brokers and peers, ten minutes; writes bench/results/events.{json,md}
scripts/bench --events --quick            a look; writes to .mainstay/bench/results, as any choice does
scripts/bench --events --broker nats      one broker: nats, rabbitmq, redis, kafka or none
scripts/bench --events --peers mainstay,faststream

The contenders of a broker take turns, figures are medians, ratios are taken round by round. Each event must have one
effect before its round counts. PostgreSQL and the brokers are started for the run, on the core of the load.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime
import sys
from collections.abc import Iterator, Sequence

from bench import postgres, report
from bench.checks import Unequal
from bench.events import brokers, table
from bench.events.contenders import CONTENDERS, NAMES, OURS, Contender, Place
from bench.events.flow import burst, steady
from bench.events.running import Running
from bench.events.table import Measured, Results
from bench.install import HERE, ROOT, Absent
from bench.processes import free_port
from bench.stores import PostgresDatabase, Unfit

WORK = ROOT / ".mainstay" / "bench"
FILES = ("events.json", "events.md")
_SETTINGS = {"track_commit_timestamp": "on"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured: events of a round, and of one at a fixed rate (a second)."""

    rounds: int
    events: int
    steady_rounds: int
    steady_events: int
    rate: int


FULL = Plan(rounds=3, events=2500, steady_rounds=3, steady_events=500, rate=100)
QUICK = Plan(rounds=1, events=1000, steady_rounds=1, steady_events=200, rate=100)
WARM = 500


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/bench --events", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--broker", choices=tuple(brokers.TITLES), action="append", help="more than one may be given")
    parser.add_argument("--peers", default=",".join(NAMES), help="of %(default)s")
    parser.add_argument("--rounds", type=int, help=f"rounds at full load ({FULL.rounds})")
    parser.add_argument("--count", type=int, help=f"events of a round ({FULL.events})")
    options = parser.parse_args(arguments)
    if unknown := set(options.peers.split(",")) - set(NAMES):
        parser.error(f"{', '.join(sorted(unknown))} is not known; there are {', '.join(NAMES)}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run and print the table; 0 when ours is ahead, 1 when it is not, 2 where it cannot run."""
    options = _options(arguments)
    plan = QUICK if options.quick else FULL
    given = {"rounds": options.rounds, "events": options.count}
    plan = dataclasses.replace(plan, **{name: value for name, value in given.items() if value})
    chosen = [one for one in CONTENDERS if one.name in options.peers.split(",")]
    whole = plan == FULL and not options.broker and len(chosen) == len(CONTENDERS)
    folder = HERE / "results" if whole else WORK / "results"
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        results, about = _run(options.broker or list(brokers.TITLES), chosen, plan)
    except (Unequal, Unfit) as fault:
        print(f"bench: not the same work: {fault}", file=sys.stderr)
        return 2
    except RuntimeError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    text = table.table(results, about)
    (folder / FILES[0]).write_text(table.document(results, about))
    (folder / FILES[1]).write_text(text)
    print(text)
    print(f"written to {folder}: {', '.join(FILES)}", file=sys.stderr)
    return int(not all(passed for passed, _ in table.gates(results)))


def _run(names: Sequence[str], chosen: Sequence[Contender], plan: Plan) -> tuple[Results, table.About]:
    """Measure on each broker. Raises ``Unequal``, ``Unfit`` and ``RuntimeError``."""
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    results: Results = {}
    absent: dict[str, str] = {}
    with postgres.cluster(**_SETTINGS) as server:
        for name in names:
            taking_part = [one for one in chosen if name in one.brokers]
            try:
                with brokers.opened(name, WORK) as broker, _started(taking_part, broker, server, absent) as running:
                    results[name] = _measure(running, plan)
            except Absent as fault:
                absent[name] = str(fault)
                _say(f"{name} is not measured: {fault}")
    there = [{"name": one.name, "title": one.title, "version": one.version()} for one in chosen]
    about = {**report.machine(), "when": when, **dataclasses.asdict(plan), "contenders": there, "absent": absent}
    return results, about


@contextlib.contextmanager
def _started(
    contenders: Sequence[Contender], broker: brokers.Broker, server: postgres.Cluster, absent: dict[str, str]
) -> Iterator[list[Running]]:
    """Start the contenders of a broker. A peer that cannot be set up is told as absent."""
    running: list[Running] = []
    try:
        for one in contenders:
            place = _place(one, broker, server)
            try:
                each = Running(one, one.make(place), place)
                running.append(each)
                each.start()
            except (Absent, RuntimeError) as fault:
                if one.name == OURS:
                    raise
                absent[f"{one.name} on {broker.name}"] = str(fault)
                _say(f"{one.name} does not take part: {fault}")
                for gone in [each for each in running if each.contender is one]:
                    gone.stop()
                    running.remove(gone)
        yield running
    finally:
        for each in running:
            each.stop()


def _place(one: Contender, broker: brokers.Broker, server: postgres.Cluster) -> Place:
    """Make the databases of a contender: one for each service, or one where a service does both."""
    made = []
    for service in ("shop", "shipping"):
        database = f"bench_{one.name.replace('-', '_')}_{service}"
        asyncio.run(postgres.create(server.url, database))
        made.append(PostgresDatabase(server, database))
    return Place(WORK, broker, made[0], made[0] if broker.name == brokers.NONE else made[1], free_port())


def _measure(running: Sequence[Running], plan: Plan) -> dict[str, Measured]:
    """Measure the contenders in turns; the first round warms up, and shows that each is right."""
    found = {one.contender.name: Measured() for one in running}
    for number in range(plan.rounds + 1):
        for one in running:
            sample = burst(one, plan.events if number else WARM)
            _say(
                f"{one.place.broker.name}: {one.contender.name} "
                f"{f'round {number} of {plan.rounds}' if number else 'warming up'}: {sample.rate:,.0f} events/s"
            )
            if number:
                found[one.contender.name].bursts.append(sample)
    for _ in range(plan.steady_rounds):
        for one in running:
            _say(f"{one.place.broker.name}: {one.contender.name} at {plan.rate} events/s")
            found[one.contender.name].steady.append(steady(one, plan.steady_events, plan.rate))
    return found


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
