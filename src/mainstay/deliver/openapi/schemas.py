"""JSON Schema 2020-12 of the model's types, as OpenAPI components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mainstay.model.naming import wire_names
from mainstay.model.policy import Anyone
from mainstay.model.schema import Attribute, FieldKind, Shape, Shapes
from mainstay.model.service import Case
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.values import INT_MAX, INT_MIN

Schema = dict[str, Any]

_PLAIN: dict[FieldKind, Schema] = {
    FieldKind.STRING: {"type": "string"},
    FieldKind.FLOAT: {"type": "number"},
    FieldKind.BOOLEAN: {"type": "boolean"},
    FieldKind.DATETIME: {"type": "string", "format": "date-time"},
    FieldKind.DATE: {"type": "string", "format": "date"},
    FieldKind.TIME: {"type": "string", "format": "time"},
    FieldKind.UUID: {"type": "string", "format": "uuid"},
    FieldKind.BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldKind.ANY: {},
}


class Components:
    """The schemas that a document refers to, each made when it is first named."""

    def __init__(self, shapes: Shapes, case: Case) -> None:
        self._shapes = shapes
        self._case = case
        self.schemas: dict[str, Schema] = {}
        self._owners: dict[str, Any] = {}

    def _named(self, name: str, owner: Any, make: Any) -> Schema:
        """Return a reference to a component. Two classes of one name are told apart by a number."""
        known = name
        number = 2
        while known in self._owners and self._owners[known] != owner:
            known = f"{name}{number}"
            number += 1
        if known not in self._owners:
            self._owners[known] = owner
            self.schemas[known] = {}
            self.schemas[known] = make()
        return {"$ref": f"#/components/schemas/{known}"}

    def answer(self, struct: Any) -> Schema:
        """Return the schema of a struct as it is answered: hidden fields are not in it, masked ones not required."""
        shape = self._shapes.of(struct)
        return self._named(shape.name, (struct, "answer"), lambda: self._answer(shape))

    def body(self, struct: Any) -> Schema:
        """Return the schema of a Dto as it is taken."""
        shape = self._shapes.of(struct)
        return self._named(
            f"{shape.name}Input" if self._both(struct) else shape.name, (struct, "body"), lambda: self._body(shape)
        )

    def _both(self, struct: Any) -> bool:
        return (struct, "answer") in self._owners.values()

    def create(self, entity: type[Entity], owned: Iterable[str]) -> Schema:
        """Return the schema of a body that makes a row."""
        shape = self._shapes.of(entity)
        taken = [a for a in shape.attributes if writable(a, owned)]
        return self._named(
            f"{shape.name}Create", (entity, "create"), lambda: self._object(shape, taken, self._required(taken))
        )

    def patch(self, entity: type[Entity], owned: Iterable[str]) -> Schema:
        """Return the schema of a merge patch (RFC 7396): nothing is required, null takes an optional value away."""
        shape = self._shapes.of(entity)
        taken = [a for a in shape.attributes if writable(a, owned) and not a.spec.immutable]
        return self._named(f"{shape.name}Patch", (entity, "patch"), lambda: self._object(shape, taken, []))

    def page(self, entity: Any) -> Schema:
        """Return the schema of a page."""
        item = self.answer(entity)
        name = item["$ref"].rpartition("/")[2]
        properties: Schema = {
            "items": {"type": "array", "items": item},
            "next": {"type": "string", "description": "The cursor of the next page; absent on the last one."},
            "count": {
                "type": "integer",
                "minimum": 0,
                "description": "How many there are, where count=exact was asked.",
            },
        }
        made = {"type": "object", "properties": properties, "required": ["items"], "additionalProperties": False}
        return self._named(f"{name}Page", (entity, "page"), lambda: made)

    def _answer(self, shape: Shape) -> Schema:
        shown = [a for a in shape.attributes if not a.hidden]
        masked = {a.name for a in shown if a.spec.read is not None and not isinstance(a.spec.read, Anyone)}
        required = [a for a in shown if a.name not in masked]
        names = wire_names(shape.type, self._case)
        made = self._object(shape, shown, required)
        for relation in shape.relations:
            made["properties"][names[relation.name]] = {
                "type": "array",
                "items": self.answer(relation.base),
                "description": f"Given where include={names[relation.name]} was asked.",
            }
        return made

    def _body(self, shape: Shape) -> Schema:
        taken = list(shape.attributes)
        made = self._object(shape, taken, self._required(taken))
        if not shape.type.__struct_config__.forbid_unknown_fields:
            del made["additionalProperties"]
        return made

    @staticmethod
    def _required(attributes: list[Attribute]) -> list[Attribute]:
        return [a for a in attributes if a.spec.required]

    def _object(self, shape: Shape, attributes: list[Attribute], required: list[Attribute]) -> Schema:
        names = wire_names(shape.type, self._case)
        made: Schema = {"type": "object"}
        if shape.doc and shape.doc != shape.type.__mro__[1].__doc__:
            made["description"] = shape.doc.partition("\n\n")[0]
        made["properties"] = {names[a.name]: self.value(a) for a in attributes}
        if required:
            made["required"] = [names[a.name] for a in required]
        made["additionalProperties"] = False
        return made

    def value(self, attribute: Attribute) -> Schema:
        """Return the schema of one field's value, with its bounds, default, examples and description."""
        made = self._kind(attribute)
        spec = attribute.spec
        notes: Schema = {}
        if spec.description:
            notes["description"] = spec.description
        if spec.examples:
            notes["examples"] = list(spec.examples)
        if attribute.name in STANDARD_FIELDS or spec.read_only:
            notes["readOnly"] = True
        if attribute.hidden:
            notes["writeOnly"] = True
        if attribute.optional:
            made = _nullable(made)
        if "$ref" in made and notes:
            return {"allOf": [made], **notes}
        return {**made, **notes}

    def _kind(self, attribute: Attribute) -> Schema:
        kind, spec = attribute.kind, attribute.spec
        if kind is FieldKind.INTEGER:
            return _integer(attribute)
        if kind is FieldKind.DECIMAL:
            return _decimal(attribute)
        if kind is FieldKind.ENUM:
            return {"enum": [member.value for member in attribute.base]}
        if kind is FieldKind.STRUCT:
            return self.answer(attribute.base) if issubclass(attribute.base, Entity) else self.body(attribute.base)
        if kind is FieldKind.LIST:
            made: Schema = {"type": "array"}
            if attribute.items is not None:
                made["items"] = self.value(attribute.items)
            return {**made, **_sizes(spec.min_length, spec.max_length, "Items")}
        if kind is FieldKind.MAP:
            below = {} if attribute.items is None else {"additionalProperties": self.value(attribute.items)}
            return {"type": "object", **below}
        made = dict(_PLAIN[kind])
        if kind is FieldKind.FLOAT:
            made.update(_number_bounds(attribute))
        if kind is FieldKind.STRING:
            made.update(_string(attribute))
        return made


def writable(attribute: Attribute, owned: Iterable[str]) -> bool:
    """Whether a body may set a field: not what the service sets, and not the owner."""
    return attribute.name not in STANDARD_FIELDS and not attribute.spec.read_only and attribute.name not in owned


def _nullable(schema: Schema) -> Schema:
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _number_bounds(attribute: Attribute) -> Schema:
    spec = attribute.spec
    pairs = {
        "minimum": spec.ge,
        "exclusiveMinimum": spec.gt,
        "maximum": spec.le,
        "exclusiveMaximum": spec.lt,
    }
    return {name: value for name, value in pairs.items() if value is not None}


def _integer(attribute: Attribute) -> Schema:
    made: Schema = {"type": "integer", "format": "int64", **_number_bounds(attribute)}
    if "exclusiveMinimum" not in made:
        made.setdefault("minimum", INT_MIN)
    if "exclusiveMaximum" not in made:
        made.setdefault("maximum", INT_MAX)
    return made


def _decimal(attribute: Attribute) -> Schema:
    """A Decimal travels as a string, so that no client rounds it."""
    whole = attribute.digits - attribute.places
    places = rf"(\.[0-9]{{1,{attribute.places}}})?" if attribute.places else ""
    negative = attribute.spec.ge is None and attribute.spec.gt is None
    bounds = ", ".join(f"{name} {value}" for name, value in _number_bounds(attribute).items())
    return {
        "type": "string",
        "format": "decimal",
        "pattern": rf"^{'-?' if negative else ''}[0-9]{{1,{max(whole, 1)}}}{places}$",
        **({"description": f"A decimal number: {bounds}."} if bounds else {}),
    }


def _string(attribute: Attribute) -> Schema:
    made: Schema = {}
    for meta in attribute.metas:
        made.update(_sizes(meta.min_length, meta.max_length, "Length"))
    spec = attribute.spec
    made.update(_sizes(spec.min_length, spec.max_length, "Length"))
    if spec.pattern is not None:
        made["pattern"] = f"^(?:{spec.pattern})$"
    if attribute.format is not None:
        made["format"] = attribute.format
    return made


def _sizes(least: int | None, most: int | None, what: str) -> Schema:
    made: Schema = {}
    if least is not None:
        made[f"min{what}"] = least
    if most is not None:
        made[f"max{what}"] = most
    return made
