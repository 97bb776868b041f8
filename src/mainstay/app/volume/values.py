"""Values of fields, a column at a time: plausible by the field's name, and within its rules."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from mainstay.app.volume.patterns import Patterned
from mainstay.app.volume.texts import Texts, kind_of
from mainstay.model.schema import Attribute, FieldKind, Shapes
from mainstay.model.values import Secret

Column = Callable[[Random, int, int], Sequence[Any]]
"""Takes chance, the number of the first row and how many rows, and returns a value for each."""

LATEST = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment that all dates are before: a fixed one, so that the same seed gives the same rows."""

_YEARS = 3
_ENOUGH = 20  # texts of a kind that a pattern allows, to be taken instead of characters by chance
_LATE = 1_234_567  # a row's number, to see whether a pattern allows such
_ABSENT = 0.15  # of optional values
_FORMS = (FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY)


class NoValues(Exception):
    """Values of a field cannot be made up, or no more of them that are different; the text says why."""


class Columns:
    """Makes the columns of fields that are no references."""

    def __init__(self, texts: Texts, shapes: Shapes) -> None:
        self._texts = texts
        self._shapes = shapes

    def column(self, attribute: Attribute, entity: str) -> Column:
        """Return how the values of a field are made. Raises ``NoValues``."""
        made = self._unique(attribute, entity) if attribute.spec.unique else self._plain(attribute, entity)
        if attribute.secret:
            made = _each(made, Secret)
        if not attribute.optional or attribute.spec.unique:
            return made
        return _sometimes(made, 1.0 if attribute.name.startswith(("deleted", "cancelled", "failed")) else _ABSENT)

    def _plain(self, attribute: Attribute, entity: str) -> Column:
        kind = attribute.kind
        if kind is FieldKind.STRING:
            return self._strings(attribute, entity)
        if kind is FieldKind.ENUM:
            members = list(attribute.base)
            weights = [1 / (place + 1) for place in range(len(members))]  # the first are the most frequent
            return lambda chance, _, count: chance.choices(members, weights, k=count)
        if kind in _FORMS:
            return self._form(attribute, entity)
        return _PLAIN[kind](attribute)

    def _strings(self, attribute: Attribute, entity: str) -> Column:
        least, most, pattern = lengths_of(attribute)
        examples = [each for each in attribute.spec.examples if isinstance(each, str)]
        if examples:
            return lambda chance, _, count: chance.choices(examples, k=count)
        kind = kind_of(attribute.name, entity, attribute.format)
        if pattern is not None:
            fitted = (_fitted(text, least, most) for text in self._texts.pool(kind))
            known = [text for text in fitted if _matches(pattern, text)]
            if len(known) >= _ENOUGH:
                return lambda chance, _, count: chance.choices(known, k=count)
            patterned = _patterned(pattern, least, most)
            return lambda chance, _, count: [patterned.text(chance.getrandbits(48)) for _ in range(count)]
        if most == 2 and kind == "country":
            kind = "country_code"
        pool = [_fitted(text, least, most) for text in self._texts.pool(kind)]
        return lambda chance, _, count: chance.choices(pool, k=count)

    def _unique(self, attribute: Attribute, entity: str) -> Column:
        kind = attribute.kind
        if kind is FieldKind.STRING:
            return self._unique_strings(attribute, entity)
        if kind is FieldKind.UUID:
            return _uuids(attribute)
        if kind in (FieldKind.INTEGER, FieldKind.DECIMAL):
            return _counted(attribute)
        if kind in (FieldKind.DATETIME, FieldKind.FLOAT):
            start = LATEST - timedelta(days=365 * 30)
            return (
                (lambda _, first, count: [start + timedelta(seconds=n) for n in range(first, first + count)])
                if kind is FieldKind.DATETIME
                else (lambda _, first, count: [float(n) for n in range(first, first + count)])
            )
        raise NoValues(f"{kind.value} has too few different values")

    def _unique_strings(self, attribute: Attribute, entity: str) -> Column:
        least, most, pattern = lengths_of(attribute)
        kind = kind_of(attribute.name, entity, attribute.format)
        pool = self._texts.pool(kind)
        if pattern is not None:
            pool = [text for text in pool if _matches(pattern, _numbered(text, kind, _LATE, least, most))]
        if pattern is not None and len(pool) < _ENOUGH:
            patterned = _patterned(pattern, least, most)

            def numbered(_: Random, first: int, count: int) -> list[str]:
                return [patterned.text(number) for number in _within(first, count, patterned.capacity)]

            return numbered

        def suffixed(chance: Random, first: int, count: int) -> list[str]:
            texts = chance.choices(pool, k=count)
            return [_numbered(text, kind, number, least, most) for number, text in enumerate(texts, first)]

        return suffixed

    def _form(self, attribute: Attribute, entity: str) -> Column:
        if attribute.kind is FieldKind.STRUCT:
            return self._structs(attribute)
        if attribute.kind is FieldKind.ANY:
            return lambda chance, _, count: chance.choices(["a", 1, True, None], k=count)
        least, most = attribute.spec.min_length or 0, attribute.spec.max_length
        most = least + 3 if most is None else min(most, least + 3)
        inner = None if attribute.items is None else self.column(attribute.items, entity)
        base = attribute.base

        def lists(chance: Random, first: int, count: int) -> list[Any]:
            lengths = [least + int(chance.random() * (most - least + 1)) for _ in range(count)]
            flat = iter(("a",) * sum(lengths) if inner is None else inner(chance, first, sum(lengths)))
            taken = [[next(flat) for _ in range(length)] for length in lengths]
            if attribute.kind is FieldKind.MAP:
                return [{f"key_{place}": value for place, value in enumerate(values)} for values in taken]
            return taken if base is list else [base(values) for values in taken]

        return lists

    def _structs(self, attribute: Attribute) -> Column:
        shape = self._shapes.of(attribute.base)
        columns = {each.name: self.column(each, shape.name) for each in shape.attributes}

        def structs(chance: Random, first: int, count: int) -> list[Any]:
            values = [column(chance, first, count) for column in columns.values()]
            return [attribute.base(**dict(zip(columns, row, strict=True))) for row in zip(*values, strict=True)]

        return structs


def _within(first: int, count: int, capacity: int) -> range:
    """Return the numbers of rows as far as there are different values. Raises ``NoValues`` where there is none left."""
    if first >= capacity:
        raise NoValues(f"it has {capacity:,} different values only")
    return range(first, min(first + count, capacity))


def _each(column: Column, change: Callable[[Any], Any]) -> Column:
    return lambda chance, first, count: [change(value) for value in column(chance, first, count)]


def _sometimes(column: Column, absent: float) -> Column:
    def some(chance: Random, first: int, count: int) -> list[Any]:
        return [None if chance.random() < absent else value for value in column(chance, first, count)]

    return some


def lengths_of(attribute: Attribute) -> tuple[int, int | None, str | None]:
    """Return the bounds of a text's length, and its pattern where the field itself declares one."""
    spec = attribute.spec
    least = max([spec.min_length or 0, *(meta.min_length or 0 for meta in attribute.metas)])
    bounds = [bound for bound in (spec.max_length, *(meta.max_length for meta in attribute.metas)) if bound is not None]
    return least, min(bounds, default=None), spec.pattern


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _patterned(pattern: str, least: int, most: int | None) -> Patterned:
    try:
        return Patterned(pattern, least, most)
    except ValueError as error:
        raise NoValues(f"{error}: give it examples=[...]") from None


def _fitted(text: str, least: int, most: int | None) -> str:
    return text[:most].rstrip().ljust(least, "x") if most is not None else text.ljust(least, "x")


_BASE36 = string.digits + string.ascii_lowercase


def _numbered(text: str, kind: str, number: int, least: int, most: int | None) -> str:
    """Return a text with its row's number, so that it is different from all others."""
    if kind == "email":
        local, _, domain = text.partition("@")
        return f"{local}.{number}@{domain}"
    joint = " " if kind in ("person", "thing", "title", "paragraph", "company") else "-"
    tail = f"{joint}{number}"
    if most is not None and len(tail) > most:
        tail = _short(number).rjust(least, "0")
        if len(tail) > most:
            raise NoValues(f"max_length={most} has too few different texts")
        return tail
    kept = text if most is None else text[: most - len(tail)].rstrip()
    return f"{kept}{tail}".ljust(least, "x") if kept else _fitted(tail.lstrip(), least, most)


def _short(number: int) -> str:
    made = ""
    while number or not made:
        number, place = divmod(number, len(_BASE36))
        made = _BASE36[place] + made
    return made


def _bounds(attribute: Attribute, low: Any, high: Any, step: Any) -> tuple[Any, Any]:
    """Return the usual bounds of a number, within those that are declared."""
    spec = attribute.spec
    least = [b for b in (spec.ge, None if spec.gt is None else spec.gt + step) if b is not None]
    most = [b for b in (spec.le, None if spec.lt is None else spec.lt - step) if b is not None]
    floor, ceiling = max(least, default=None), min(most, default=None)
    width = high - low
    low = low if floor is None else max(low, floor)
    high = high if ceiling is None else min(high, ceiling)
    if low > high:  # the usual is out of what is allowed: take what is near it
        low, high = (floor, floor + width) if floor is not None and floor > high else (ceiling - width, ceiling)
        low = low if floor is None else max(low, floor)
        high = high if ceiling is None else min(high, ceiling)
    return low, high


_USUAL = (
    (("quantity", "pieces"), (1, 10)),
    (("stock",), (0, 500)),
    (("year",), (1950, 2025)),
    (("age",), (18, 90)),
    (("rating", "stars", "score"), (1, 5)),
    (("percent", "discount"), (0, 100)),
    (("latitude", "lat"), (-90, 90)),
    (("longitude", "lon", "lng"), (-180, 180)),
)


def _usual(name: str, otherwise: tuple[int, int]) -> tuple[int, int]:
    words = name.split("_")
    return next((bounds for known, bounds in _USUAL if any(word in known for word in words)), otherwise)


def _integers(attribute: Attribute) -> Column:
    low, high = _bounds(attribute, *_usual(attribute.name, (0, 1000)), 1)
    width = high - low + 1
    return lambda chance, _, count: [low + int(chance.random() * width) for _ in range(count)]


def _floats(attribute: Attribute) -> Column:
    usual = _usual(attribute.name, (0, 1000))
    low, high = _bounds(attribute, float(usual[0]), float(usual[1]), 1e-6)
    return lambda chance, _, count: [low + chance.random() * (high - low) for _ in range(count)]


def _decimals(attribute: Attribute) -> Column:
    """Most are small and few are large, as prices are."""
    step = Decimal(1).scaleb(-attribute.places)
    largest = Decimal(10) ** (attribute.digits - attribute.places) - step
    usual = _usual(attribute.name, (1, 500))
    low, high = _bounds(attribute, Decimal(usual[0]), Decimal(usual[1]), step)
    low, high = max(low, -largest), min(high, largest)
    first, width = int(low / step), int((high - low) / step) + 1
    places = -attribute.places
    return lambda chance, _, count: [
        Decimal(first + int(chance.random() ** 3 * width)).scaleb(places) for _ in range(count)
    ]


def _counted(attribute: Attribute) -> Column:
    """Return numbers that follow one another from the least that is allowed."""
    step = Decimal(1).scaleb(-attribute.places) if attribute.kind is FieldKind.DECIMAL else 1
    low, high = _bounds(attribute, step * 1, step * 10**15, step)
    high = attribute.spec.le if attribute.spec.le is not None else high

    def numbers(_: Random, first: int, count: int) -> list[Any]:
        return [low + number * step for number in _within(first, count, int((high - low) / step) + 1)]

    return numbers


def _booleans(_attribute: Attribute) -> Column:
    return lambda chance, _, count: [chance.random() < 0.5 for _ in range(count)]


def _moments(attribute: Attribute) -> Column:
    """Return moments of the last years, more of late, or to come where the name says so."""
    ahead = any(word in ("expires", "until", "due", "deadline", "ends") for word in attribute.name.split("_"))
    seconds, sign = _YEARS * 365 * 86400, 1 if ahead else -1
    return lambda chance, _, count: [
        LATEST + sign * timedelta(seconds=int(chance.random() ** 2 * seconds)) for _ in range(count)
    ]


def _dates(attribute: Attribute) -> Column:
    born = "birth" in attribute.name or "born" in attribute.name
    youngest, days = (18 * 365, 70 * 365) if born else (1, _YEARS * 365)
    latest: date = LATEST.date()
    return lambda chance, _, count: [
        latest - timedelta(days=youngest + int(chance.random() * days)) for _ in range(count)
    ]


def _times(_attribute: Attribute) -> Column:
    return lambda chance, _, count: [
        time(int(chance.random() * 24), 5 * int(chance.random() * 12)) for _ in range(count)
    ]


def _uuids(_attribute: Attribute) -> Column:
    return lambda chance, _, count: [UUID(int=chance.getrandbits(128), version=4) for _ in range(count)]


def _bytes(attribute: Attribute) -> Column:
    least, most, _ = lengths_of(attribute)
    length = max(least, min(16, 16 if most is None else most))
    return lambda chance, _, count: [chance.randbytes(length) for _ in range(count)]


_PLAIN: dict[FieldKind, Callable[[Attribute], Column]] = {
    FieldKind.INTEGER: _integers,
    FieldKind.FLOAT: _floats,
    FieldKind.DECIMAL: _decimals,
    FieldKind.BOOLEAN: _booleans,
    FieldKind.DATETIME: _moments,
    FieldKind.DATE: _dates,
    FieldKind.TIME: _times,
    FieldKind.UUID: _uuids,
    FieldKind.BYTES: _bytes,
}
