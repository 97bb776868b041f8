"""Measure the workloads: ``python -m bench [--workloads W1,W2] [--peers fastapi] [--seconds 5] [--rounds 3]``.

Contenders take turns, so that a noisy machine is noisy to all; figures are medians, ratios are taken round by round.
Every contender must give the right answers, good and bad, before it is measured. Needs wrk and taskset.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

from bench.measure import Sample, Server, load, median, request, spread
from bench.peers import HERE, NAMES, make
from bench.workloads import WORKLOADS, Check, Workload, lua, tokens

ITEM = "00000000-0000-0000-0000-000000000001"


def check(server: Server, workload: Workload, held: dict[str, str], item: str) -> None:
    """Ask good and bad requests. Raises ``AssertionError`` where an answer is not the one expected."""
    for one in workload.checks:
        status, answer = _ask(server, one, held, item)
        if status != one.status:
            raise AssertionError(f"{server.name} {one.method} {one.path}: {status}, expected {one.status}")
        if one.member is not None and answer[one.member] != one.value:
            raise AssertionError(f"{server.name} {one.path}: {one.member} is {answer[one.member]!r}")


def _ask(server: Server, one: Check, held: dict[str, str], item: str) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} if one.body is not None else {}
    if one.token:
        headers["Authorization"] = f"Bearer {held[one.token]}"
    body = json.dumps(one.body).replace("{sku}", uuid.uuid4().hex).encode() if one.body is not None else None
    return request(server.url + one.path.replace("{item}", item), one.method, body, headers)


def seed(server: Server) -> str:
    """Put 200 rows into our own database, as the peers' applications do at start; return the id of the first."""
    if server.name != "mainstay":
        return ITEM
    first = ""
    for number in range(1, 201):
        body = {
            "sku": f"SEED-{uuid.uuid4().hex[:12]}",
            "name": f"Item {number}",
            "price": str(number / 4),
            "stock": number,
        }
        _, made = request(
            f"{server.url}/items", "POST", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        first = first or made["id"]
    return first


def main() -> int:
    """Run the bench and print the table."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--workloads", default="W1,W2,W3,W4,W5,W6")
    parser.add_argument("--peers", default=",".join(NAMES))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write bench/results/latest.json")
    options = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"bench: {tool} is missing: apt-get install wrk util-linux", file=sys.stderr)
            return 2
    work = HERE.parent / ".mainstay" / "bench"
    work.mkdir(parents=True, exist_ok=True)
    for old in work.glob("*.sqlite3*"):
        old.unlink()
    chosen = [w for w in WORKLOADS if w.name in options.workloads.split(",")]
    results = run(chosen, options.peers.split(","), options.seconds, options.rounds, work)
    report(chosen, results, options)
    return 0


Results = dict[str, dict[str, list[Sample]]]


def run(chosen: list[Workload], peers: list[str], seconds: float, rounds: int, work: Path) -> Results:
    """Measure each workload on each contender, in turn, ``rounds`` times."""
    results: Results = {w.name: {name: [] for name in peers} for w in chosen}
    for observed in (False, True):
        group = [w for w in chosen if w.observed is observed]
        if not group:
            continue
        servers = [make(name, work, observed=observed) for name in peers]
        try:
            _run(group, servers, seconds, rounds, results)
        finally:
            for server in servers:
                server.stop()
    return results


def _run(group: list[Workload], servers: list[Server], seconds: float, rounds: int, results: Results) -> None:
    held = tokens()
    items = {}
    for server in servers:
        server.start()
        items[server.name] = seed(server)
    for workload in group:
        for server in servers:
            check(server, workload, held, items[server.name])
        for number in range(rounds + 1):
            for server in servers:
                path = workload.path.replace("{item}", items[server.name])
                script = lua(workload, path, held[workload.token] if workload.token else None)
                sample = load(server, script, seconds if number else min(seconds, 2))
                if sample.failures:
                    raise AssertionError(f"{server.name} {workload.name}: {sample.failures} answers were no success")
                if number:  # the first round warms up
                    results[workload.name][server.name].append(sample)


def report(chosen: list[Workload], results: Results, options: argparse.Namespace) -> None:
    """Print the table; with --save, write it down."""
    print(
        f"{platform.machine()}, Python {platform.python_version()}, one core, 64 connections, "
        f"medians of {options.rounds}"
    )
    print("ratio: processor time a request of the peer to ours, round by round: median (least to greatest)\n")
    print(f"{'':4} {'':10} {'req/s':>10} {'us cpu':>8} {'p50 ms':>8} {'p99 ms':>8} {'MB':>6}  ratio")
    told: dict[str, Any] = {}
    for workload in chosen:
        ours = results[workload.name].get("mainstay", [])
        for name, samples in results[workload.name].items():
            figures = {f: median(samples, f) for f in ("rate", "cpu", "p50", "p99", "memory")}
            ratio = (
                spread([s.cpu / o.cpu for s, o in zip(samples, ours, strict=True)])
                if ours and name != "mainstay"
                else ""
            )
            told.setdefault(workload.name, {})[name] = {**figures, "ratio": ratio}
            print(
                f"{workload.name:4} {name:10} {figures['rate']:10,.0f} {figures['cpu']:8.1f} {figures['p50']:8.2f} "
                f"{figures['p99']:8.2f} {figures['memory']:6.0f}  {ratio}"
            )
    if options.save:
        place = HERE / "results" / "latest.json"
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
