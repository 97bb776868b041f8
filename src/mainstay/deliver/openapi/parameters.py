"""The parameters of an operation: path, query, header; and those that a search of an entity has."""

from __future__ import annotations

from typing import Any

from mainstay.deliver.openapi.schemas import Components, Schema
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.model.inputs import DEFAULT_LIMIT, MAX_LIMIT
from mainstay.model.naming import wire_name, wire_names
from mainstay.model.operation import OperationKind
from mainstay.model.schema import COMPARABLE, FieldKind, Shape
from mainstay.model.signature import Parameter, Source

_PLACES = {Source.PATH: "path", Source.QUERY: "query", Source.HEADER: "header"}
_ORDERED = COMPARABLE - {FieldKind.BOOLEAN, FieldKind.BYTES, FieldKind.UUID, FieldKind.ENUM}


def parameters_of(bound: Bound, operation: BoundOperation, components: Components) -> list[Schema]:
    """Return the parameters of an operation, in a stable order."""
    case = bound.service.case
    made = [_one(p, components, wire_name(p.name, case)) for p in operation.signature.of(*_PLACES)]
    declared = operation.operation
    for parameter in operation.signature.of(Source.FIND):
        shape = bound.blueprint.shapes.of(parameter.target)
        names = wire_names(parameter.target, case)
        made.extend(_view(shape, names))
        if declared.verb != "get":
            made.extend(_search(shape, names, components))
    if declared.kind is OperationKind.COMMAND and declared.idempotency != "none":
        made.append(_idempotency_key(declared.idempotency == "required"))
    if declared.kind is OperationKind.COMMAND and operation.signature.of(Source.PATH):
        made.append(_header("If-Match", "Only if it is of this version: an ETag (RFC 9110).", declared.precondition))
    return made


def _one(parameter: Parameter, components: Components, name: str) -> Schema:
    place = _PLACES[parameter.source]
    made: Schema = {"name": parameter.header or name, "in": place, "required": place == "path" or parameter.required}
    if parameter.attribute is not None:
        made["schema"] = components.value(parameter.attribute)
    if not parameter.required and parameter.default is not None and isinstance(parameter.default, str | int | float):
        made["schema"] = {**made["schema"], "default": parameter.default}
    return made


def _header(name: str, description: str, required: bool) -> Schema:
    schema: Schema = {"type": "string"}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def _idempotency_key(required: bool) -> Schema:
    text = "A key of the client's making: the request has its effect once, however often it is sent."
    made = _header("Idempotency-Key", text, required)
    made["schema"] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
    return made


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _names(values: list[str]) -> Schema:
    """A comma-separated list of names."""
    one = "(" + "|".join(values) + ")"
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


def _view(shape: Shape, names: dict[str, str]) -> list[Schema]:
    shown = [names[a.name] for a in shape.attributes if not a.hidden and a.spec.read is None]
    made = [_query("fields", _names(shown), "The fields to give, separated by commas.")]
    if shape.relations:
        related = [names[r.name] for r in shape.relations]
        made.append(_query("include", _names(related), "The relations to give with it, separated by commas."))
    return made


def _search(shape: Shape, names: dict[str, str], components: Components) -> list[Schema]:
    found = [a for a in shape.attributes if a.kind in COMPARABLE and not a.hidden and a.spec.read is None]
    keys = [f"-?{names[a.name]}" for a in found]
    made = [
        _query("sort", _names(keys), "The order: names, separated by commas; - before a name turns it round."),
        _query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            "How many to give at most.",
        ),
        _query("cursor", {"type": "string"}, "Where the page before ended: its next."),
        _query("count", {"enum": ["exact"]}, "Count them all."),
    ]
    for attribute in found:
        plain = components.value(attribute)
        schema: dict[str, Any] = {k: v for k, v in plain.items() if k not in ("readOnly", "description", "examples")}
        name = names[attribute.name]
        made.append(_query(name, schema, f"Those whose {name} is this."))
        if attribute.kind in _ORDERED:
            made.extend(
                _query(f"{name}[{op}]", schema, f"Those whose {name} is {text} this.")
                for op, text in (("gte", "at least"), ("lte", "at most"))
            )
    return made
