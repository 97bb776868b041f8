"""Upcasters, proven: an example of the kept schema of a version is led to that of the class, and must be one there."""

from __future__ import annotations

import msgspec

from mainstay.deliver.contracts.schemas import EventSchema
from mainstay.deliver.openapi.examples import NONE, Examples
from mainstay.kernel.validate import DEFAULTS
from mainstay.kernel.validate.reader import bind_reader
from mainstay.model.event_versions import Upcasters, steps_to
from mainstay.model.policy import prepare
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.model.schema import Shapes
from mainstay.model.structs import Event

_encode = msgspec.json.Encoder(decimal_format="string").encode


def example_of(schema: EventSchema) -> dict[str, object] | None:
    """Return an example of an event with all of its fields, or None where none can be made; each time the same."""
    root = {name: value for name, value in schema.schema.items() if name != "$defs"}
    made = Examples({"#": root, **schema.schema.get("$defs", {})}).whole(root)
    return None if made is NONE else made


def step_fault(event: type[Event], before: EventSchema, upcasters: Upcasters, shapes: Shapes) -> str | None:
    """Return what is wrong with what the upcasters make of an example of a version before, or None."""
    example = example_of(before)
    if example is None:
        return None
    try:
        for step in steps_to(event, upcasters)[before.version]:
            example = step(example)
        body = _encode(example)
    except Exception as error:
        # A step is the team's own code: whatever it raises is what it would raise for a message.
        return f"it fails on an example of version {before.version}: {type(error).__name__}: {error}"
    try:
        bind_reader(event, shapes, prepare=prepare, limits=DEFAULTS, fixed=False)(body, Principal.system)
    except Problem as problem:
        told = "; ".join(f"{fault.pointer or '/'} {fault.detail}" for fault in problem.faults) or problem.detail
        return f"what it makes of an example of version {before.version} is no {event.__name__}: {told}"
    return None
