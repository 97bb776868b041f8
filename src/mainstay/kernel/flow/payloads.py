"""The data of messages: an event as JSON, in the form that its schema promises, or not at all.

What is emitted is read once before it is stored, as a consumer would read it. An event that breaks its own rules is a
bug of whoever emits it, and is told there: as a message it would fail at every consumer, in every service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.reader import Read, bind_reader
from mainstay.kernel.validate.syntax import ODD_DECIMAL
from mainstay.model.blueprint import Blueprint
from mainstay.model.policy import prepare
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.model.schema import Shape
from mainstay.model.soundness import Verdict, verdict_of
from mainstay.model.structs import Event

_encode = msgspec.json.Encoder(decimal_format="string").encode

Payloads = Callable[[Event, str], bytes]
"""Returns the JSON of an event of this name. Raises ``EventUnfit``."""


Verdicts = tuple[tuple[str, Verdict], ...]


class EventUnfit(ValueError):
    """An event breaks the rules of its own fields. The message says which, and repeats no value."""


def bind_payloads(blueprint: Blueprint, limits: InputLimits) -> Payloads:
    """Return the function that makes the data of messages of a service's events."""
    events = () if blueprint.faults else blueprint.event_names
    shapes = blueprint.shapes
    verdicts: Mapping[type[Event], Verdicts] = {event: _verdicts(shapes.of(event)) for event in events}
    readers: Mapping[type[Event], Read] = {
        event: bind_reader(event, shapes, prepare=prepare, limits=limits, fixed=False) for event in events
    }

    def payload(event: Event, name: str) -> bytes:
        made = _encode(event)
        kind = type(event)
        if b"E" in made and ODD_DECIMAL.search(made) is not None:  # an exponent, or a word like "EUR"
            made = _encode(_plain(msgspec.to_builtins(event, builtin_types=(Decimal,))))
        if len(made) <= limits.body and all([sound(getattr(event, field)) for field, sound in verdicts[kind]]):
            return made
        try:
            readers[kind](made, Principal.system)
        except Problem as problem:
            told = "; ".join(f"{fault.pointer or '/'} {fault.detail}" for fault in problem.faults) or problem.detail
            raise EventUnfit(f"{name} is emitted and breaks its own rules: {told}") from None
        return made

    return payload


def _verdicts(shape: Shape) -> Verdicts:
    """Return the verdicts on the fields of an event; what holds values of its own is never judged by them alone."""
    return tuple((attribute.name, verdict_of(attribute)) for attribute in shape.attributes)


def _plain(value: Any) -> Any:
    """Return a value whose Decimals are written with digits and a point, and without an exponent."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in value.items()}
    return [_plain(held) for held in value] if isinstance(value, list) else value
