"""The parameters of an operation: path, query, header; and those that a search of an entity has."""

from __future__ import annotations

from typing import Any

from mainstay.deliver.openapi.schemas import Components, Schema, filtered
from mainstay.deliver.openapi.transfers import transfer_parameters
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.validate.find import is_sortable, operators_of
from mainstay.kernel.validate.includes import relations_of
from mainstay.kernel.validate.limits import InputLimits
from mainstay.model.inputs import DEFAULT_LIMIT, MAX_LIMIT
from mainstay.model.naming import wire_name, wire_names
from mainstay.model.operation import OperationKind
from mainstay.model.schema import Attribute, Shape, Shapes
from mainstay.model.service import Case
from mainstay.model.signature import Parameter, Source
from mainstay.model.structs import Entity

LIMITS = InputLimits()

_PLACES = {Source.PATH: "path", Source.QUERY: "query", Source.HEADER: "header"}
_TAG = r'(W/)?"[!#-~]*"'
_TAG_LIST: Schema = {
    "type": "string",
    "format": "entity-tags",
    "pattern": rf"^(\*|{_TAG}( ?, ?{_TAG})*)$",
    "examples": ['"3-1f2e3d4c"'],
}
_KEY: Schema = {
    "type": "string",
    "pattern": r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\--\[\]-~]{1,255})$',
    "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
}
_SPOKEN = {
    "": "is this",
    "ne": "is not this, or is null",
    "in": "is one of these, separated by commas",
    "gt": "is greater than this",
    "gte": "is at least this",
    "lt": "is less than this",
    "lte": "is at most this",
    "contains": "contains this text",
    "starts": "begins with this text",
    "null": "is null (true) or is not (false)",
}


def parameters_of(bound: Bound, operation: BoundOperation, components: Components) -> list[Schema]:
    """Return the parameters of an operation, in a stable order."""
    case = bound.service.case
    made = [_one(p, components, wire_name(p.name, case)) for p in operation.signature.of(*_PLACES)]
    declared = operation.operation
    for parameter in operation.signature.of(Source.FIND):
        shapes = bound.blueprint.shapes
        shape = shapes.of(parameter.target)
        view = _view(shape, shapes, case)
        names = wire_names(parameter.target, case)
        if declared.verb == "get":
            made.extend(view)
        else:
            made.extend([*_page(shape, names), *view, *_filters(shape, names, components)])
    made.extend(transfer_parameters(operation))
    if declared.kind is OperationKind.COMMAND:
        made.extend(_of_command(operation))
    elif has_validator(operation):
        text = "An ETag that is known: 304 without a body where it is still right (RFC 9110)."
        made.append(_header("If-None-Match", text, _TAG_LIST))
    return made


def answers_entity(operation: BoundOperation) -> bool:
    """Whether the answer is one row, and so has a version."""
    form, type_ = operation.signature.answer
    return form == "value" and isinstance(type_, type) and issubclass(type_, Entity)


def has_validator(operation: BoundOperation) -> bool:
    """Whether an answer to a query has an ETag: it is one row, or may be kept by caches."""
    form, _ = operation.signature.answer
    cached = operation.operation.cache is not None and form not in ("none", "file", "stream")
    return cached or answers_entity(operation)


def _of_command(operation: BoundOperation) -> list[Schema]:
    declared, made = operation.operation, []
    if declared.idempotency != "none":
        text = "A key of the client's making: the request has its effect once, however often it is sent."
        made.append(_header("Idempotency-Key", text, _KEY, required=declared.idempotency == "required"))
    if operation.signature.of(Source.PATH):
        text = "Only if it is of this version: an ETag (RFC 9110)."
        made.append(_header("If-Match", text, _TAG_LIST, required=declared.precondition))
    return made


def _one(parameter: Parameter, components: Components, name: str) -> Schema:
    place = _PLACES[parameter.source]
    made: Schema = {"name": parameter.header or name, "in": place, "required": place == "path" or parameter.required}
    attribute = parameter.attribute
    if attribute is not None:
        made["schema"] = components.value(attribute)
        if place == "query" and made["schema"].get("type") == "array":
            made.update(style="form", explode=True)
    if not parameter.required and isinstance(parameter.default, str | int | float):
        made["schema"] = {**made["schema"], "default": parameter.default}
    return made


def _header(name: str, description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _names(name: str, values: list[str], description: str, **bounds: Any) -> Schema:
    """A list of names, separated by commas."""
    schema: Schema = {"type": "array", "items": {"type": "string", "enum": values}, "minItems": 1, **bounds}
    return {**_query(name, schema, description), "style": "form", "explode": False}


def _shown(shape: Shape) -> list[Attribute]:
    """The fields that everybody may read. What others may filter and choose beside these, they know from their role."""
    return [a for a in shape.attributes if not a.hidden and a.spec.read is None]


def _view(shape: Shape, shapes: Shapes, case: Case) -> list[Schema]:
    names = wire_names(shape.type, case)
    made = [_names("fields", [names[a.name] for a in _shown(shape)], "The fields to give, separated by commas.")]
    paths = relations_of(shape.type, shapes, case, lambda policy, _: policy)
    related = [told for told, include in paths.items() if not include.policies]
    if related:
        text = "The relations to give with it, separated by commas; a.b is relation b of the rows of a."
        made.append(_names("include", related, text, maxItems=LIMITS.includes))
    return made


def _page(shape: Shape, names: dict[str, str]) -> list[Schema]:
    keys = [f"{sign}{names[a.name]}" for a in _shown(shape) if is_sortable(a) for sign in ("", "-")]
    order = "The order: names, each once, separated by commas; - before a name turns it round."
    size = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    found = [names[a.name] for a in _shown(shape) if a.spec.searchable]
    text = f"Those in which every word begins a word of {', '.join(found)}, letter case and accents apart."
    searched = [_query("search", {"type": "string", "maxLength": LIMITS.search}, text)] if found else []
    return [
        *searched,
        _names("sort", keys, order, maxItems=LIMITS.sorts, uniqueItems=True),
        _query("limit", size, "How many to give at most."),
        _query("cursor", {"type": "string", "minLength": 1}, "Where the page before ended: its next."),
        _query("count", {"type": "string", "enum": ["exact"]}, "Count them all."),
    ]


def _filters(shape: Shape, names: dict[str, str], components: Components) -> list[Schema]:
    """Return the filters: first each field's own, which are asked for most, then those with an operator."""
    found = [(names[a.name], a, operators_of(a)) for a in _shown(shape)]
    plain = [_filter(name, a, "", components) for name, a, operators in found if operators]
    return [
        *plain,
        *(_filter(name, a, op, components) for name, a, operators in found for op in operators if op != "eq"),
    ]


def _filter(name: str, attribute: Attribute, operator: str, components: Components) -> Schema:
    told = f"{name}[{operator}]" if operator else name
    text = f"Those whose {name} {_SPOKEN[operator]}."
    value = filtered(components, attribute)
    if operator == "null":
        return _query(told, {"type": "string", "enum": ["true", "false"]}, text)
    if operator == "in":
        schema: Schema = {"type": "array", "items": value, "minItems": 1, "maxItems": LIMITS.members}
        return {**_query(told, schema, text), "style": "form", "explode": False}
    return _query(told, value, text)
