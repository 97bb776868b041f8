"""What was measured, as a table for people, JSON for programs, and the gates of the project."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.measure import Paced, Sample, spread
from bench.peers import BASE, CONTENDERS, OURS
from bench.stores import MARIADB, POSTGRESQL, SQLITE, TITLES
from bench.workloads import WORKLOADS, Workload

# The least ratio of processor time a request, FastAPI as its users write it to ours, and what is aimed at.
GATES = {
    SQLITE: {"W1": 6.0, "W2": 5.0, "W3": 15.0, "W4": 35.0, "W5": 10.0, "W6": 15.0},
    POSTGRESQL: {"W5": 8.0, "W6": 8.0},
    MARIADB: {"W5": 8.0, "W6": 8.0},
}
GOALS = {
    SQLITE: {"W1": 10.0, "W2": 8.0, "W3": 30.0, "W4": 60.0, "W5": 18.0, "W6": 30.0},
    POSTGRESQL: {"W5": 15.0, "W6": 30.0},
    MARIADB: {"W5": 15.0, "W6": 30.0},
}
_ON_A_SERVER = ("litestar", "fastify", "go")
AHEAD_OF = {SQLITE: ("fastify", "go"), POSTGRESQL: _ON_A_SERVER, MARIADB: _ON_A_SERVER}
MEMORY_MB = 60.0
_HELD = 0.97  # a contender that answers less than this share of a fixed rate did not hold it


@dataclasses.dataclass
class Measured:
    """The runs of one contender on one workload; memory in MB of the largest process and of all."""

    samples: list[Sample] = dataclasses.field(default_factory=list)
    paced: list[Paced] = dataclasses.field(default_factory=list)
    memory: float = 0.0
    memory_all: float = 0.0

    def median(self, name: str) -> float:
        """Return the median of a figure at full load."""
        return float(statistics.median(getattr(one, name) for one in self.samples))

    def paced_median(self, name: str) -> float | None:
        """Return the median of a figure at the fixed rate, None where it was not run."""
        return float(statistics.median(getattr(one, name) for one in self.paced)) if self.paced else None

    @property
    def failures(self) -> int:
        """How many requests were not answered with success."""
        return sum(one.failures for one in self.samples) + sum(one.failures for one in self.paced)

    def holds(self, rate: int) -> bool:
        """Whether every run at the fixed rate was answered in time."""
        return all(one.rate >= rate * _HELD for one in self.paced)


Results = dict[str, dict[str, Measured]]  # workload, then contender


def ratios(results: Results, workload: str, name: str, figure: str) -> tuple[float, float, float] | None:
    """Return how many times better ours is, round by round: median, least, greatest. None where there is no pair."""
    ours, theirs = results[workload].get(OURS), results[workload].get(name)
    if ours is None or theirs is None or name == OURS:
        return None
    pairs = [one for one in zip(ours.samples, theirs.samples, strict=True) if min(one[0].rate, one[1].rate) > 0]
    if not pairs:
        return None
    if figure == "rate":
        return spread([mine.rate / other.rate for mine, other in pairs])
    return spread([other.cpu / mine.cpu for mine, other in pairs])


def gates(results: Results, store: str = SQLITE) -> Iterator[tuple[bool, str]]:
    """Yield each gate that can be judged: whether it is passed, and its line."""
    for workload, by_name in results.items():
        least = GATES[store].get(workload)
        if least is not None:
            yield from _ratios_judged(results, workload, least, AHEAD_OF[store])
        failures = by_name[OURS].failures if OURS in by_name else 0
        if failures:
            yield False, f"{workload} {failures} requests of ours were not answered with success, gate 0"
    memory = max((one[OURS].memory for one in results.values() if OURS in one), default=0.0)
    if memory:
        yield memory <= MEMORY_MB, f"memory of a worker {memory:.0f} MB, gate {MEMORY_MB:g}"


def _ratios_judged(
    results: Results, workload: str, least: float, ahead_of: tuple[str, ...]
) -> Iterator[tuple[bool, str]]:
    found = ratios(results, workload, BASE, "cpu")
    if found:
        yield found[0] >= least, f"{workload} {found[0]:.1f} times less processor time than FastAPI, gate {least:g}"
    for name in ahead_of:
        found = ratios(results, workload, name, "rate")
        if found:
            yield found[0] > 1, f"{workload} {found[0]:.2f} times the requests of {name}, gate 1"


def _times(found: tuple[float, float, float] | None) -> str:
    return f"{found[0]:.1f} ({found[1]:.1f} to {found[2]:.1f})" if found else ""


def table(results: Results, about: Mapping[str, Any]) -> str:
    """Return the table in Markdown."""
    store = store_of(about)
    lines = [
        "# The bench" if store == SQLITE else f"# The bench on {TITLES[store]}",
        "",
        f"{about['processor']}, {about['system']}, Python {about['python']};",
        f"commit {about['commit']}, {about['when']}. One core for the server, another for the load; 64 connections;",
        f"medians of {about['rounds']} rounds of {about['seconds']:g} s in turns; ratios are taken round by",
        "round: median (least to greatest).",
        f"p50 and p99 in ms at {about['rate']} requests/s, counted from when each was due. Memory: PSS of the largest",
        "process, and of all, in MB.",
        *_of_store(about),
        "",
    ]
    for workload in WORKLOADS:
        if workload.name in results:
            lines += [f"## {workload.name}: {titled(workload, about)}", "", *_rows(results, workload.name, about), ""]
    lines += ["## Gates", ""]
    lines += [f"- {'passed' if passed else 'MISSED'}: {line}" for passed, line in gates(results, store)]
    lines += ["", "## Contenders", ""]
    lines += [f"- {one['title']}: {one['version']}; durability: {one['durable']}" for one in about["contenders"]]
    lines += [f"- absent: {name}: {why}" for name, why in about["absent"].items()]
    return "\n".join(lines) + "\n"


def store_of(about: Mapping[str, Any]) -> str:
    """Return the store that was measured on."""
    return str(about.get("store", SQLITE))


def titled(workload: Workload, about: Mapping[str, Any]) -> str:
    """Return the title of a workload on the store that was measured on."""
    return workload.title.format(store=TITLES[store_of(about)])


def _of_store(about: Mapping[str, Any]) -> Iterator[str]:
    if about.get("store_about"):
        yield f"{about['store_about']}; each contender has a database of its own, and 10"
        yield "connections for a workload. CPU is that of its own processes; what PostgreSQL used is beside it."


def _rows(results: Results, workload: str, about: Mapping[str, Any]) -> Iterator[str]:
    served = store_of(about) != SQLITE
    kept = f" {TITLES[store_of(about)]}'s own |" if served else ""
    yield f"| | requests/s | ours to theirs | CPU us a request | theirs to ours |{kept} p50 | p99 | MB |"
    yield f"|---|---:|---|---:|---|{'---:|' if served else ''}---:|---:|---:|"
    titles = {one.name: one.title for one in CONTENDERS}
    for name, found in results[workload].items():
        p50, p99 = found.paced_median("p50"), found.paced_median("p99")
        late = "" if found.holds(about["rate"]) else " (rate not held)"
        late += f" ({found.failures} failed)" if found.failures else ""
        more = _times(ratios(results, workload, name, "rate"))
        less = _times(ratios(results, workload, name, "cpu"))
        beside = f" {found.median('store'):.1f} |" if served else ""
        yield (
            f"| {titles.get(name, name)} | {found.median('rate'):,.0f} | {more} | {found.median('cpu'):.1f} | {less} "
            f"|{beside} {_number(p50)} | {_number(p99)}{late} | {found.memory:.0f}, {found.memory_all:.0f} |"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or "unknown",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def document(results: Results, about: Mapping[str, Any]) -> str:
    """Return everything, every single run included, as JSON."""
    told = {
        workload: {name: dataclasses.asdict(found) for name, found in by_name.items()}
        for workload, by_name in results.items()
    }
    judged = [{"passed": passed, "gate": line} for passed, line in gates(results, store_of(about))]
    return json.dumps({"about": about, "results": told, "gates": judged}, indent=2) + "\n"


def read(text: str) -> tuple[Results, dict[str, Any]]:
    """Return what a document holds."""
    told = json.loads(text)
    results = {
        workload: {
            name: Measured(
                [Sample(**one) for one in found["samples"]],
                [Paced(**one) for one in found["paced"]],
                found["memory"],
                found["memory_all"],
            )
            for name, found in by_name.items()
        }
        for workload, by_name in told["results"].items()
    }
    return results, told["about"]
