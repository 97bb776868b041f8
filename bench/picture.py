"""The picture of a run: requests a second and latencies of every contender on every workload, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from bench.peers import CONTENDERS, OURS
from bench.report import Measured, Results, titled
from bench.workloads import WORKLOADS

_WIDTH = 1240
_LABELS = 230  # where the plots of the left column begin
_BARS = 500
_RIGHT = 890  # where those of the right column begin
_SPANS = 300
_ROW = 22
_TOP = 112
_GAP = 74
_STYLE = """
text { font-family: 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; font-size: 12px; fill: #1f2933; }
.title { font-size: 20px; font-weight: 600; }
.head { font-size: 14px; font-weight: 600; }
.faint { fill: #52606d; font-size: 11px; }
.grid { stroke: #d9e2ec; stroke-width: 1; }
.peer { fill: #9fb3c8; }
.ours { fill: #2166ac; }
.peer-span { stroke: #829ab1; stroke-width: 3; stroke-linecap: round; }
.ours-span { stroke: #2166ac; stroke-width: 3; stroke-linecap: round; }
"""


class Scale:
    """A logarithmic scale from one power of ten to another over so many pixels."""

    def __init__(self, values: list[float], start: float, pixels: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._start = start
        self._step = pixels / (self._high - self._low)

    def at(self, value: float) -> float:
        """Return where a value lies."""
        return self._start + (math.log10(value) - self._low) * self._step

    def ticks(self) -> list[float]:
        """Return the powers of ten."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def draw(results: Results, about: Mapping[str, Any]) -> str:
    """Return the picture."""
    present = [one for one in WORKLOADS if one.name in results]
    rates = [max(found.median("rate"), 1.0) for by_name in results.values() for found in by_name.values()]
    bars = Scale(rates, _LABELS, _BARS)
    times = [value for by_name in results.values() for found in by_name.values() for value in _span(found)]
    spans = Scale(times, _RIGHT, _SPANS) if times else None
    parts, top = [], _TOP
    for workload in present:
        rows = sorted(results[workload.name].items(), key=lambda one: -one[1].median("rate"))
        height = len(rows) * _ROW
        parts += [_text(20, top - 14, f"{workload.name}  {titled(workload, about)}", "head")]
        parts += _grid(bars, top, height, "{:,.0f}")
        parts += _grid(spans, top, height, "{:g}") if spans else []
        for number, (name, found) in enumerate(rows):
            parts += _row(top + number * _ROW, name, found, rows, bars, spans)
        top += height + _GAP
    return "\n".join([*_frame(top, about), *parts, "</svg>"]) + "\n"


def _frame(height: int, about: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        'role="img" aria-label="Requests a second and latencies of each contender on each workload">'
    )
    yield f"<style>{_STYLE}</style>"
    yield f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
    yield _text(20, 32, "One core, the same work: validated, logged, durable", "title")
    run = f"{about['processor']}; Python {about['python']}; commit {about['commit']}, {about['when']}"
    run += f"; {about['store_about']}" if about.get("store_about") else ""
    yield _text(20, 52, run, "faint")
    yield _text(_LABELS, 70, "requests a second at full load, median, log scale (in brackets: ours to theirs)", "faint")
    yield _text(_RIGHT, 70, f"p50 to p99 in ms at {about['rate']} requests/s, log scale", "faint")


def _grid(scale: Scale, top: float, height: float, form: str) -> Iterator[str]:
    for tick in scale.ticks():
        x = scale.at(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + height}"/>'
        yield _text(x, top + height + 14, form.format(tick), "faint", "middle")


def _row(
    top: float, name: str, found: Measured, rows: list[tuple[str, Measured]], bars: Scale, spans: Scale | None
) -> Iterator[str]:
    titles = {one.name: one.title for one in CONTENDERS}
    own = name == OURS
    middle = top + _ROW / 2 + 4
    rate = max(found.median("rate"), 1.0)
    ours = dict(rows).get(OURS)
    less = f" ({ours.median('rate') / rate:.1f})" if ours is not None and not own else ""
    yield _text(_LABELS - 8, middle, titles.get(name, name), "", "end")
    width = max(bars.at(rate) - _LABELS, 1)
    kind = "ours" if own else "peer"
    yield f'<rect class="{kind}" x="{_LABELS}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 6}"/>'
    yield _text(_LABELS + width + 6, middle, f"{rate:,.0f}{less}", "")
    span = _span(found)
    if spans and span:
        y, (left, right) = top + _ROW / 2, (spans.at(value) for value in span)
        yield f'<line class="{kind}-span" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'
        for x in (left, right):
            yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="4"/>'
        told = f"{span[0]:.2f} to {span[1]:.2f}"
        inside = right < _RIGHT + _SPANS / 2
        yield _text(right + 8 if inside else left - 8, middle, told, "faint", "start" if inside else "end")


def _span(found: Measured) -> list[float]:
    values = [found.paced_median("p50"), found.paced_median("p99")]
    return [max(value, 0.01) for value in values if value is not None]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style} text-anchor="{anchor}">{escape(text)}</text>'
