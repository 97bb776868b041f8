"""Values that a contract allows: those that rows have already, and new ones."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from mainstay.model.pattern_syntax import Chars, Choice, Node, Parser, Refused, Repeat, Sequence
from mainstay.testing.rollout.contract import Contract
from mainstay.testing.rollout.known import Known
from mainstay.testing.rollout.schemas import Schema

NONE: Any = object()
"""No value can be made."""

_DEPTH = 6
_TRIES = 24
_REFERENCES = 0.7
"""How often a field gets a value that another entity has under the same name."""

_OWN = 0.05
"""The same for a field of the entity itself, where it may have to be unique."""

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Maker:
    """Makes the values of one call, for ``who``. ``entity`` is what the call is about."""

    def __init__(self, contract: Contract, known: Known, chance: random.Random, who: str, entity: str) -> None:
        self._contract = contract
        self._known = known
        self._chance = chance
        self.who = who
        self._entity = entity
        self._own = contract.judge.properties(entity)

    def value(self, schema: Schema, name: str, depth: int = _DEPTH) -> Any:
        """Return a value that a schema allows for a field, or ``NONE``."""
        _, schema = self._contract.judge.resolved(schema)
        if depth == 0:
            return NONE
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.value(self._chance.choice(schema[several]), name, depth - 1)
        types = schema.get("type", "object" if "properties" in schema else "string")
        type_ = self._chance.choice(types) if isinstance(types, list) else types
        match type_:
            case "null":
                return None
            case "boolean":
                return self._chance.random() < 0.5
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._text(schema, name)
        return self._number(schema)

    def _object(self, schema: Schema, depth: int) -> Any:
        required = schema.get("required", ())
        made: dict[str, Any] = {}
        properties = [(name, inner) for name, inner in schema.get("properties", {}).items() if not _read_only(inner)]
        for name, inner in properties:
            if name in required or self._chance.random() < 0.5:
                value = self.value(inner, name, depth - 1)
                if value is not NONE:
                    made[name] = value
                elif name in required:
                    return NONE
        if not made and properties:
            name, inner = self._chance.choice(properties)
            value = self.value(inner, name, depth - 1)
            made = {} if value is NONE else {name: value}
        return made

    def _array(self, schema: Schema, name: str, depth: int) -> Any:
        least = schema.get("minItems", 0)
        size = min(max(least, self._chance.randint(1, 3)), schema.get("maxItems", 3))
        made = [self.value(schema.get("items", {}), name.removesuffix("s"), depth - 1) for _ in range(size)]
        made = [one for one in made if one is not NONE]
        if schema.get("uniqueItems"):
            made = [one for place, one in enumerate(made) if one not in made[:place]]
        return made if len(made) >= least else NONE

    def _number(self, schema: Schema) -> Any:
        step = schema.get("multipleOf", 1)
        low = max(schema.get("minimum", -(10**18)), schema.get("exclusiveMinimum", -(10**18)) + 1)
        high = min(schema.get("maximum", 10**18), schema.get("exclusiveMaximum", 10**18) - 1)
        low = low if low > -(10**9) else max(low, min(1, high))  # a bound of the type is none of the field
        value = self._chance.randint(int(low), max(int(low), int(min(high, low + 100))))
        value += -value % step
        return value if value <= high else NONE

    def _text(self, schema: Schema, name: str) -> Any:
        """Return a text: of a row that it refers to, or one that no row has."""
        there = self._referred(name)
        if there is not NONE and self._fits(schema, there):
            return there
        for number in range(_TRIES):
            made = self._made(schema, name, number)
            if made is not NONE and self._fits(schema, made):
                return made
        return next((one for one in schema.get("examples", ()) if self._fits(schema, one)), NONE)

    def _referred(self, name: str) -> Any:
        entity = self._known.named_by(name, self._contract.entities)
        if entity is not None:
            found = self._known.value(entity, "id", self.who)
        elif self._chance.random() < (_OWN if name in self._own else _REFERENCES):
            found = self._known.elsewhere(name, self._entity, self.who)
        else:
            found = None
        return NONE if found is None else found

    def _fits(self, schema: Schema, value: Any) -> bool:
        return self._contract.judge.fault(schema, value) is None

    def _made(self, schema: Schema, name: str, number: int) -> Any:
        make = _FORMATS.get(schema.get("format", ""))
        if make is not None:
            return make(self._chance)
        if "pattern" in schema:
            return matching(schema["pattern"], self._chance, number)
        word = f"{name or 'text'} {self._chance.getrandbits(40):x}"
        return word.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength", 10**6)]


def _read_only(schema: Schema) -> bool:
    return bool(schema.get("readOnly"))


def _moment(chance: random.Random) -> datetime:
    return _BEGIN + timedelta(seconds=chance.randrange(10**7))


def _decimal(chance: random.Random) -> str:
    """Return a number that fits most bounds: small ones, and those that are bounds themselves."""
    return chance.choice([f"{chance.randint(1, 99)}.{chance.randint(0, 9)}", str(chance.randint(1, 9)), "0.5", "1"])


_FORMATS: Mapping[str, Callable[[random.Random], str]] = MappingProxyType(
    {
        "uuid": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "date-time": lambda chance: _moment(chance).isoformat().replace("+00:00", "Z"),
        "date": lambda chance: _moment(chance).date().isoformat(),
        "time": lambda chance: f"{_moment(chance).time().isoformat()}",
        "email": lambda chance: f"somebody.{chance.getrandbits(40):x}@example.com",
        "uri": lambda chance: f"https://example.com/{chance.getrandbits(40):x}",
        "decimal": _decimal,
    }
)


def matching(pattern: str, chance: random.Random, more: int) -> Any:
    """Return a text that matches a pattern of the kind that fields may have, or ``NONE``.

    What may be repeated is repeated up to ``more`` times beyond the least.
    """
    try:
        node = Parser(re.sub(r"^\^|\$$", "", pattern)).parse()
    except Refused:
        return NONE
    return _spelled(node, chance, more)


def _spelled(node: Node, chance: random.Random, more: int) -> str:
    match node:
        case Chars(ranges=ranges):
            seen = [(max(low, 0x21), min(high, 0x7E)) for low, high in ranges]
            low, high = chance.choice([pair for pair in seen if pair[0] <= pair[1]] or list(ranges))
            return chr(chance.randint(low, high))
        case Sequence(parts=parts):
            return "".join(_spelled(part, chance, more) for part in parts)
        case Choice(branches=branches):
            return _spelled(chance.choice(branches), chance, more)
        case Repeat(body=body, low=low, high=most):
            times = chance.randint(low, low + more if most is None else min(most, low + more))
            return "".join(_spelled(body, chance, more) for _ in range(times))
