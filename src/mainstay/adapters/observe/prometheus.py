"""The text format of Prometheus, version 0.0.4, as its documentation of exposition formats has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite, isnan
from typing import Literal

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Sequence[tuple[str, str]]


class Family(msgspec.Struct, frozen=True):
    """The series of one name. A counter's name gets ``_total``; a sample is its suffix, its labels and its value."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    samples: Sequence[tuple[str, Labels, float]]


def counter(name: str, help: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    """Return a family of figures that only grow."""
    return Family(f"{name}_total", help, "counter", [("", labels, value) for labels, value in samples])


def gauge(name: str, help: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    """Return a family of figures that rise and fall."""
    return Family(name, help, "gauge", [("", labels, value) for labels, value in samples])


def histogram(name: str, help: str, series: Iterable[tuple[Labels, Sequence[tuple[str, float]], float]]) -> Family:
    """Return a family of histograms: labels, cumulative buckets by their upper bound ("+Inf" the last), and the sum."""
    samples: list[tuple[str, Labels, float]] = []
    for labels, buckets, total in series:
        samples += [("_bucket", [*labels, ("le", bound)], count) for bound, count in buckets]
        samples += [("_count", labels, buckets[-1][1]), ("_sum", labels, total)]
    return Family(name, help, "histogram", samples)


def text_of(families: Iterable[Family]) -> bytes:
    """Return families as text, one after the other."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    told = family.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {family.name} {told}\n# TYPE {family.name} {family.kind}\n"
    for suffix, labels, value in family.samples:
        named = ",".join(f'{name}="{_escaped(text)}"' for name, text in sorted(labels))
        yield (
            f"{family.name}{suffix}{{{named}}} {_number(value)}\n"
            if named
            else (f"{family.name}{suffix} {_number(value)}\n")
        )


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    """Return a number as Go reads it; infinities and NaN have names of their own there."""
    number = float(value)
    if isfinite(number):
        return repr(number)
    return "NaN" if isnan(number) else f"{'+' if number > 0 else '-'}Inf"
