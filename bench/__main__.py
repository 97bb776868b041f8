"""Measure the workloads against the peers, each in an environment of its own, and draw what was found.

scripts/bench                      everything, 25 minutes;  writes bench/results/{latest.json,table.md,picture.svg}
scripts/bench --quick              a look in some minutes; writes to .mainstay/bench/results
scripts/bench --store postgresql   W4 to W6 on PostgreSQL;  writes bench/results/postgresql.{json,md,svg}
scripts/bench --store mariadb      W4 to W6 on MariaDB;  writes bench/results/mariadb.{json,md,svg}
scripts/bench --gate [--write]     count the instructions of the hot path against bench/baseline.json, or renew that
scripts/bench --identity           W3 with accounts and sessions of its own against without, on SQLite
scripts/bench --events             events from commit to effect, against FastStream, Celery and Dramatiq; with --help
scripts/bench --draw               table and picture anew from what bench/results holds of the store

Contenders take turns, so that a noisy machine is noisy to all; figures are medians, ratios are taken round by round.
What is measured is kept after each workload in .mainstay/bench/results: a run that is stopped loses one at most.
Every contender must give the right answers, good and bad, before it is measured. Needs wrk and taskset; node and go
are used where they are there. PostgreSQL and MariaDB are started for the run, or named by MAINSTAY_TEST_POSTGRES and
MAINSTAY_TEST_MARIADB.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import checks, gate, identity, report, stores
from bench.events import command as events
from bench.install import HERE, ROOT, Absent
from bench.measure import Server, load, pace
from bench.openloop import SKU_LENGTH
from bench.peers import CONTENDERS, NAMES, OURS, Contender
from bench.picture import draw
from bench.report import Measured, Results
from bench.stores import MARIADB, POSTGRESQL, RUN, SQLITE, TITLES, Store
from bench.workloads import WORKLOADS, Workload, lua, raw, tokens

TOOLS = {"wrk": "apt-get install wrk", "taskset": "apt-get install util-linux"}
WORK = ROOT / ".mainstay" / "bench"
FILES = {
    SQLITE: ("latest.json", "table.md", "picture.svg"),
    POSTGRESQL: ("postgresql.json", "postgresql.md", "postgresql.svg"),
    MARIADB: ("mariadb.json", "mariadb.md", "mariadb.svg"),
}
"""What is written of a run on each store: every single run, the table, the picture."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    warm: float
    rate: int
    paced_rounds: int
    paced_seconds: float


FULL = Plan(rounds=5, seconds=3, warm=2, rate=400, paced_rounds=2, paced_seconds=4)
QUICK = Plan(rounds=1, seconds=1, warm=1, rate=400, paced_rounds=1, paced_seconds=1)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--store", choices=TITLES, default=SQLITE, help="where rows are kept (%(default)s)")
    parser.add_argument("--workloads", help=f"of {','.join(RUN[SQLITE])}; those of the store")
    parser.add_argument("--peers", default=",".join(NAMES), help="of %(default)s")
    parser.add_argument("--rounds", type=int, help=f"rounds at full load ({FULL.rounds})")
    parser.add_argument("--seconds", type=float, help=f"seconds of a round ({FULL.seconds})")
    parser.add_argument("--rate", type=int, help=f"requests a second for the latencies ({FULL.rate})")
    parser.add_argument("--gate", action="store_true", help="count instructions instead")
    parser.add_argument("--write", action="store_true", help="with --gate: make what is counted the baseline")
    parser.add_argument("--identity", action="store_true", help="measure what identity costs a call instead")
    parser.add_argument("--draw", action="store_true", help="write table and picture of the last run anew")
    options = parser.parse_args(arguments)
    options.workloads = options.workloads or ",".join(RUN[options.store])
    for given, known in ((options.workloads, RUN[options.store]), (options.peers, NAMES)):
        if unknown := set(given.split(",")) - set(known):
            parser.error(f"{', '.join(sorted(unknown))} is not known; there are {', '.join(known)}")
    return options


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("rounds", "seconds", "rate")}
    return dataclasses.replace(plan, **{name: value for name, value in given.items() if value})


def main(arguments: list[str] | None = None) -> int:
    """Run the bench and print the table; 0 when all gates are passed, 1 when one is missed, 2 where it cannot run."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--events" in given:
        return events.main([one for one in given if one != "--events"])
    options = _options(given)
    if options.gate:
        return gate.main(keep=options.write)
    committed = HERE / "results"
    if options.draw:
        results, about = report.read((committed / FILES[options.store][0]).read_text())
        return _write(committed, results, about)
    if missing := [f"{tool}: {how}" for tool, how in TOOLS.items() if shutil.which(tool) is None]:
        print(f"bench: missing {'; '.join(missing)}", file=sys.stderr)
        return 2
    plan = _plan(options)
    whole = plan == FULL and options.workloads == ",".join(RUN[options.store]) and options.peers == ",".join(NAMES)
    WORK.mkdir(parents=True, exist_ok=True)
    workloads = [one for one in WORKLOADS if one.name in options.workloads.split(",")]
    contenders = [one for one in CONTENDERS if one.name in options.peers.split(",") and one.runs(workloads)]
    try:
        with stores.opened(options.store, WORK) as store:
            if options.identity:
                return identity.main(store, WORK, plan.rounds, plan.seconds)
            results, about = run(store, contenders, workloads, plan, lambda *so_far: _keep(WORK / "results", *so_far))
    except checks.Unequal as fault:
        print(f"bench: not the same work: {fault}", file=sys.stderr)
        return 2
    except RuntimeError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    return _write(committed if whole else WORK / "results", results, about)


def _keep(folder: Path, results: Results, about: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILES[report.store_of(about)][0]).write_text(report.document(results, about))


def _write(folder: Path, results: Results, about: dict[str, Any]) -> int:
    _keep(folder, results, about)  # first: it took long
    store = report.store_of(about)
    _, table, picture = FILES[store]
    text = report.table(results, about)
    (folder / table).write_text(text)
    (folder / picture).write_text(draw(results, about))
    print(text)
    print(f"written to {folder}: {', '.join(FILES[store])}", file=sys.stderr)
    return int(not all(passed for passed, _ in report.gates(results, store)))


def run(
    store: Store,
    contenders: list[Contender],
    workloads: list[Workload],
    plan: Plan,
    keep: Callable[[Results, dict[str, Any]], None],
) -> tuple[Results, dict[str, Any]]:
    """Set up, check and measure; return the results and what they were measured on. Raises ``Unequal``.

    ``keep`` is given what there is after each workload.
    """
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    servers, absent = _set_up(contenders, store)
    held = tokens()
    items = {}
    try:
        for server in tuple(servers):
            if _started(server, servers, absent):
                items[server.name] = checks.seed(server)
        _say("checking that all give the same answers")
        durable = checks.compare(servers, held, items)
        store.ready()
        about = {**_about(plan, when, contenders, durable, absent), "store": store.name, "store_about": store.about}
        results: Results = {}
        for one in workloads:
            results[one.name] = _measure(one, _taking_part(servers, contenders, one), held, items, plan)
            keep(results, about)
    finally:
        for server in servers:
            server.stop()
            server.log.unlink(missing_ok=True)
    return results, about


def _about(
    plan: Plan, when: str, contenders: list[Contender], durable: dict[str, str], absent: dict[str, str]
) -> dict[str, Any]:
    """Return what the results were measured on."""
    there = [
        {"name": one.name, "title": one.title, "version": one.version(), "durable": durable[one.name]}
        for one in contenders
        if one.name in durable
    ]
    return {**report.machine(), "when": when, **dataclasses.asdict(plan), "contenders": there, "absent": absent}


def _started(server: Server, servers: list[Server], absent: dict[str, str]) -> bool:
    """Start a server. A peer that does not come up is taken from the list and told as absent."""
    try:
        server.start()
    except RuntimeError as fault:
        server.stop()
        if server.name == OURS:
            raise
        servers.remove(server)
        absent[server.name] = str(fault)
        _say(f"{server.name} does not take part: {fault}")
        return False
    return True


def _set_up(contenders: list[Contender], store: Store) -> tuple[list[Server], dict[str, str]]:
    servers, absent = [], {}
    for contender in contenders:
        try:
            servers.append(contender.make(WORK, store))
        except Absent as fault:
            absent[contender.name] = str(fault)
            _say(f"{contender.name} does not take part: {fault}")
    return servers, absent


def _taking_part(servers: list[Server], contenders: list[Contender], workload: Workload) -> list[Server]:
    """Return the servers that run a workload."""
    wanted = {one.name for one in contenders if one.runs([workload])}
    return [server for server in servers if server.name in wanted]


def _measure(
    workload: Workload, servers: list[Server], held: dict[str, str], items: dict[str, str], plan: Plan
) -> dict[str, Measured]:
    """Measure one workload on each contender, in turns; the first round warms up."""
    found = {server.name: Measured() for server in servers}
    token = held[workload.token] if workload.token else None
    for number in range(plan.rounds + 1):
        _say(f"{workload.name} round {number} of {plan.rounds}" if number else f"{workload.name} warming up")
        for server in servers:
            path = workload.path.replace("{item}", items[server.name])
            sample = load(server, lua(workload, path, token), plan.seconds if number else plan.warm)
            if number:
                found[server.name].samples.append(sample)
            found[server.name].memory, found[server.name].memory_all = server.memory()
    for number in range(plan.paced_rounds):
        _say(f"{workload.name} at {plan.rate}/s, round {number + 1} of {plan.paced_rounds}")
        for server in servers:
            request = raw(workload, workload.path.replace("{item}", items[server.name]), token, SKU_LENGTH)
            found[server.name].paced.append(pace(server, request, plan.rate, plan.paced_seconds))
    return found


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
