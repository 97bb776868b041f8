"""The table of the bench of events, and what must hold of it."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.events import brokers
from bench.events.contenders import CONTENDERS, OURS
from bench.events.flow import Burst, Steady
from bench.measure import spread

About = dict[str, Any]
_PLAIN = {one.name for one in CONTENDERS if one.plain}
_TITLES = {one.name: one.title for one in CONTENDERS}
_HEAD = (
    "| | events/s | ours to theirs | CPU s a 1,000 | theirs to ours | PostgreSQL | broker | p50 ms | p99 ms |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
)


@dataclasses.dataclass
class Measured:
    """What was measured of one contender on one broker."""

    bursts: list[Burst] = dataclasses.field(default_factory=list)
    steady: list[Steady] = dataclasses.field(default_factory=list)

    def median(self, name: str) -> float:
        """Return the median of a figure."""
        samples = self.steady if name in ("p50", "p99") else self.bursts
        return float(statistics.median(getattr(one, name) for one in samples))


Results = dict[str, dict[str, Measured]]
"""By broker and contender."""


def document(results: Results, about: About) -> str:
    """Return every single round as JSON."""
    told = {broker: {name: dataclasses.asdict(one) for name, one in found.items()} for broker, found in results.items()}
    return json.dumps({"about": about, "results": told}, indent=1) + "\n"


def times_faster(ours: Measured, theirs: Measured) -> list[float]:
    """Return how many times more events a second ours has, round by round."""
    return [one.rate / other.rate for one, other in zip(ours.bursts, theirs.bursts, strict=True)]


def times_cheaper(ours: Measured, theirs: Measured) -> list[float]:
    """Return how many times more processor time theirs uses, round by round."""
    return [other.cpu / one.cpu for one, other in zip(ours.bursts, theirs.bursts, strict=True)]


def gates(results: Results) -> list[tuple[bool, str]]:
    """Return what must hold, and whether it does: ours is ahead of every peer that keeps as much."""
    told = []
    for broker, found in results.items():
        ours = found.get(OURS)
        if ours is None:
            continue
        for name, theirs in found.items():
            if name == OURS or name in _PLAIN:
                continue
            for what, factor in _factors(ours, theirs):
                text = f"{brokers.TITLES[broker]}: ahead of {_TITLES[name]} by {what}: {factor:.2f} times"
                told.append((factor > 1, text))
    return told


def _factors(ours: Measured, theirs: Measured) -> Iterator[tuple[str, float]]:
    yield "processor time", statistics.median(times_cheaper(ours, theirs))
    yield "events a second", statistics.median(times_faster(ours, theirs))
    for name in ("p50", "p99"):
        yield f"{name} of the latency", theirs.median(name) / ours.median(name)


def table(results: Results, about: About) -> str:
    """Return the tables, one for each broker, and the gates."""
    versions = {one["name"]: one["version"] for one in about["contenders"]}
    lines = [
        "# Events, from the commit of a row and its event to the effect in another service",
        "",
        f"{about['when']}, {about['processor']}, {about['system']}, Python {about['python']}, {about['commit']}. "
        f"{about['rounds']} rounds of {about['events']:,} events; latencies at {about['rate']} a second, from the "
        "commit of the row to that of the effect. Medians; ratios round by round: median (least to greatest). "
        "Processor seconds are those of a contender's processes; PostgreSQL and the broker are beside them.",
    ]
    for broker, found in results.items():
        lines += ["", f"## {brokers.TITLES[broker][0].upper()}{brokers.TITLES[broker][1:]}", "", *_HEAD]
        lines += [_row(name, versions[name], one, found.get(OURS)) for name, one in found.items()]
    lines += ["", *(f"- {'kept' if passed else 'MISSED'}: {text}" for passed, text in gates(results))]
    lines += [f"- {name}: absent: {why.splitlines()[0]}" for name, why in about["absent"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, version: str, one: Measured, ours: Measured | None) -> str:
    other = ours is not None and name != OURS
    cells = [
        f"{_TITLES[name]} {version}",
        f"{one.median('rate'):,.0f}",
        _ratio(times_faster, ours, one) if other else "",
        f"{one.median('cpu'):.2f}",
        _ratio(times_cheaper, ours, one) if other else "",
        *(f"{one.median(figure):.2f}" for figure in ("store", "broker")),
        *(f"{one.median(figure):.1f}" for figure in ("p50", "p99")),
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(of: Callable[[Measured, Measured], list[float]], ours: Measured | None, theirs: Measured) -> str:
    assert ours is not None
    median, least, greatest = spread(of(ours, theirs))
    return f"{median:.2f} ({least:.2f} to {greatest:.2f})"


def read(text: str) -> tuple[Results, Mapping[str, Any]]:
    """Return what ``document`` wrote."""
    kept = json.loads(text)
    results = {
        broker: {
            name: Measured([Burst(**one) for one in each["bursts"]], [Steady(**one) for one in each["steady"]])
            for name, each in found.items()
        }
        for broker, found in kept["results"].items()
    }
    return results, kept["about"]
