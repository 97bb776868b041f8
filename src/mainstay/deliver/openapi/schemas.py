"""JSON Schema 2020-12 of the model's types, as OpenAPI components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from mainstay.model.fields import FieldSpec
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
    FieldKind.BYTES: {
        "type": "string",
        "contentEncoding": "base64",
        "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    },
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

    def part(self, struct: Any) -> Schema:
        """Return the schema of a struct of which a caller may ask for some fields only: it promises none of them."""
        shape = self._shapes.of(struct)
        return self._named(f"{shape.name}Part", (struct, "part"), lambda: self._part(shape))

    def _part(self, shape: Shape) -> Schema:
        made = self._answer(shape)
        made.pop("required", None)
        return {**made, "description": f"A {shape.name}, or the fields of it that were asked for."}

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
        return self._named(f"{shape.name}Patch", (entity, "patch"), lambda: self._patch(shape, taken))

    def _patch(self, shape: Shape, taken: Iterable[Attribute]) -> Schema:
        names = wire_names(shape.type, self._case)
        properties = {names[a.name]: self._patched(a) for a in taken}
        return {**_described(shape), "type": "object", "properties": properties, "additionalProperties": False}

    def _patched(self, attribute: Attribute) -> Schema:
        """Return the schema of a value in a merge patch: objects in it are patches too."""
        if attribute.kind is FieldKind.STRUCT:
            shape = self._shapes.of(attribute.base)
            made = self._named(
                f"{shape.name}Patch", (attribute.base, "patch"), lambda: self._patch(shape, shape.attributes)
            )
            return self._noted(attribute, made)
        if attribute.kind is FieldKind.MAP:
            below = {} if attribute.items is None else _nullable(self._patched(attribute.items))
            return self._noted(attribute, {"type": "object", "additionalProperties": below})
        return self.value(attribute)

    def page(self, entity: Any, *, part: bool) -> Schema:
        """Return the schema of a page, ``part`` where a caller may ask for some fields of its items only."""
        item = self.part(entity) if part else self.answer(entity)
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
        return self._named(f"{name}Page", (entity, part, "page"), lambda: made)

    def _answer(self, shape: Shape) -> Schema:
        shown = [a for a in shape.attributes if not a.hidden]
        masked = {a.name for a in shown if a.spec.read is not None and not isinstance(a.spec.read, Anyone)}
        sure = {a.name for a in shown if not _left_out(shape, a)} - masked
        required = [a for a in shown if a.name in sure]
        names = wire_names(shape.type, self._case)
        made = self._object(shape, shown, required)
        for relation in shape.relations:
            below = self.answer(relation.base)
            value = {"type": "array", "items": below} if relation.kind is FieldKind.MANY else _nullable(below)
            told = f"Given where include={names[relation.name]} was asked."
            made["properties"][names[relation.name]] = {**value, "description": told}
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
        made: Schema = {"type": "object", **_described(shape)}
        made["properties"] = {names[a.name]: self.value(a) for a in attributes}
        if required:
            made["required"] = [names[a.name] for a in required]
        made["additionalProperties"] = False
        return made

    def value(self, attribute: Attribute) -> Schema:
        """Return the schema of one field's value, with its bounds, default, examples and description."""
        return self._noted(attribute, self._kind(attribute))

    @staticmethod
    def _noted(attribute: Attribute, made: Schema) -> Schema:
        spec = attribute.spec
        notes: Schema = {}
        said = [text for text in (spec.description, made.get("description"), *_policies(attribute)) if text]
        if said:
            notes["description"] = " ".join(said)
        if spec.examples:
            notes["examples"] = list(spec.examples)
        if spec.read_only:
            notes["readOnly"] = True
        if attribute.hidden:
            notes["writeOnly"] = True
        if attribute.optional:
            made = _nullable(made)
        return {**made, **notes}

    def _kind(self, attribute: Attribute) -> Schema:
        kind, spec = attribute.kind, attribute.spec
        if kind is FieldKind.INTEGER:
            return _integer(attribute)
        if kind is FieldKind.DECIMAL:
            return _decimal(attribute)
        if kind is FieldKind.ENUM:
            return _enum([member.value for member in attribute.base])
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


def filtered(components: Components, attribute: Attribute) -> Schema:
    """Return the schema of a value that rows are compared with: of the field's type, beyond its bounds too."""
    spec = FieldSpec()
    if attribute.kind is FieldKind.DECIMAL:
        spec = FieldSpec(digits=attribute.digits, places=attribute.places)
    plain = replace(attribute, name="", spec=spec, metas=(), optional=False, format=None, secret=False)
    return components.value(plain)


def writable(attribute: Attribute, owned: Iterable[str]) -> bool:
    """Whether a body may set a field: not what the service sets, and not the owner."""
    return attribute.name not in STANDARD_FIELDS and not attribute.spec.read_only and attribute.name not in owned


def _described(shape: Shape) -> Schema:
    own = shape.doc and shape.doc != (shape.type.__mro__[1].__doc__ or "").strip()
    return {"description": " ".join(shape.doc.partition("\n\n")[0].split())} if own else {}


def _policies(attribute: Attribute) -> list[str]:
    """Say who may read and write a field that not everybody may."""
    spec = attribute.spec
    return [
        f"{verb} by: {policy!r}."
        for verb, policy in (("Read", spec.read), ("Written", spec.write))
        if policy is not None and not isinstance(policy, Anyone)
    ]


def _left_out(shape: Shape, attribute: Attribute) -> bool:
    """Whether an answer may lack a field: where it is unset, or where the struct says nothing of defaults."""
    config = shape.type.__struct_config__
    return attribute.spec.default is UNSET or (config.omit_defaults and not attribute.spec.required)


def _enum(values: list[Any]) -> Schema:
    for type_, name in ((str, "string"), (int, "integer")):
        if all(isinstance(value, type_) for value in values):
            return {"type": name, "enum": values}
    return {"enum": values}


def _nullable(schema: Schema) -> Schema:
    known = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"], **known}
    if known:
        return {**schema, **known}
    return {"anyOf": [schema, {"type": "null"}]} if schema else {}


def _number_bounds(attribute: Attribute) -> Schema:
    spec = attribute.spec
    pairs = {
        "minimum": spec.ge,
        "exclusiveMinimum": spec.gt,
        "maximum": spec.le,
        "exclusiveMaximum": spec.lt,
    }
    made = {name: value for name, value in pairs.items() if value is not None}
    for meta in attribute.metas:
        told = {"minimum": meta.ge, "exclusiveMinimum": meta.gt, "maximum": meta.le, "exclusiveMaximum": meta.lt}
        made.update({name: value for name, value in told.items() if value is not None})
        if meta.multiple_of is not None:
            made["multipleOf"] = meta.multiple_of
    return made


def _integer(attribute: Attribute) -> Schema:
    made: Schema = {"type": "integer", "format": "int64", **_number_bounds(attribute)}
    if "exclusiveMinimum" not in made:
        made.setdefault("minimum", INT_MIN)
    if "exclusiveMaximum" not in made:
        made.setdefault("maximum", INT_MAX)
    return made


def _decimal(attribute: Attribute) -> Schema:
    """A Decimal travels as a string, so that no client rounds it."""
    whole = max(attribute.digits - attribute.places, 0)
    places = f"[0-9]{{1,{attribute.places}}}0{{0,20}}" if attribute.places else "0{1,20}"
    digits = f"0{{0,20}}[0-9]{{1,{whole}}}" if whole else "0{1,20}"
    negative = attribute.spec.ge is None and attribute.spec.gt is None
    bounds = ", ".join(f"{name} {value}" for name, value in _number_bounds(attribute).items())
    return {
        "type": "string",
        "format": "decimal",
        "pattern": rf"^{'-?' if negative else ''}{digits}(\.{places})?$",
        "description": f"A decimal number{f': {bounds}' if bounds else ''}; a JSON number is read exactly, too.",
    }


def _string(attribute: Attribute) -> Schema:
    made: Schema = {}
    for meta in attribute.metas:
        made.update(_sizes(meta.min_length, meta.max_length, "Length"))
        if meta.pattern is not None:
            made["pattern"] = meta.pattern.replace(r"\Z", "$").replace("(?a:", "(?:")
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
