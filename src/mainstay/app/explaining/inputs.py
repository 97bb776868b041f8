"""The input of a call that is to be explained: what was given, and for the rest what is there, or an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from mainstay.app.explaining.existing import Existing
from mainstay.app.explaining.finding import Named
from mainstay.app.refusal import Refusal
from mainstay.deliver.openapi import openapi
from mainstay.deliver.openapi.examples import NONE, Examples
from mainstay.deliver.openapi.schemas import Components
from mainstay.inbound.http.problems import STATUS
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.model.naming import wire_name
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.signature import Source


class Input(msgspec.Struct, kw_only=True):
    """What a call is made of. ``made_up`` names what nobody gave."""

    arguments: dict[str, str] = {}
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    body: dict[str, Any] | None = None
    made_up: list[str] = []
    missing: list[str] = []

    @property
    def shown(self) -> dict[str, Any]:
        """What was put in, for the report."""
        return {**self.arguments, **dict(self.query), **self.headers, **(self.body or {})}

    @property
    def encoded(self) -> bytes | None:
        """The body as it is sent."""
        return None if self.body is None else msgspec.json.encode(self.body)

    def target(self, operation: BoundOperation) -> str:
        """Return the path as it is asked for."""
        path = operation.operation.path
        for name, value in self.arguments.items():
            path = path.replace("{" + name + "}", value)
        return f"{path}?{urlencode(self.query)}" if self.query else path


async def make_input(bound: Bound, named: Named, given: Mapping[str, Any], who: Principal, existing: Existing) -> Input:
    """Return the input of a call. Raises ``Refusal`` that names what must be given and cannot be made up."""
    operation, maker = named.operation, _Maker(dict(given), who, existing)
    if operation.operation.kind is OperationKind.CONSUMER:
        described, schemas = _event(bound, operation)
    else:
        described, schemas = _described(bound, operation)
    examples = Examples(schemas)
    parameters = described.get("parameters", ())
    made = maker.made
    made.query.extend(named.query)
    for parameter in operation.signature.of(Source.PATH):
        name = wire_name(parameter.name, bound.service.case)
        schema = next(p["schema"] for p in parameters if p["in"] == "path" and p["name"] == name)
        if parameter.name in named.arguments:
            made.arguments[parameter.name] = named.arguments[parameter.name]
        else:
            made.arguments[parameter.name] = await maker.text(name, parameter.name, schema, examples)
    known = {name for name, _ in named.query}
    for each in parameters:
        name = each["name"]
        if each["in"] == "query" and name not in known and (name in given or each["required"]):
            made.query.append((name, await maker.text(name, name, each["schema"], examples)))
        elif each["in"] == "header" and name in given:
            made.headers[name.lower()] = str(maker.given.pop(name))
    await _fill_body(maker, described, schemas, examples)
    if made.missing:
        raise Refusal(
            f"{operation.name} needs more input: {', '.join(made.missing)}",
            f"""--input '{{"{made.missing[0].partition(" ")[0]}": ...}}'""",
        )
    return made


def _described(bound: Bound, operation: BoundOperation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the contract of the one operation, and the schemas that it refers to."""
    body = openapi(msgspec.structs.replace(bound, operations=[operation]), STATUS)
    document: dict[str, Any] = msgspec.json.decode(body)
    ((_, methods),) = document["paths"].items()
    ((_, described),) = methods.items()
    return described, document["components"]["schemas"]


def _event(bound: Bound, operation: BoundOperation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a contract of the one event that a consumer takes, in the same form."""
    components = Components(bound.blueprint.shapes, "snake")
    taken = operation.signature.body
    content = {} if taken is None else {"application/json": {"schema": components.body(taken.target)}}
    return {"requestBody": {"content": content}}, components.schemas


async def _fill_body(
    maker: _Maker, described: Mapping[str, Any], schemas: Mapping[str, Any], examples: Examples
) -> None:
    """Make the JSON body of what was given and of an example; what is left over without one is a query."""
    content = described.get("requestBody", {}).get("content", {})
    found = next((each for type_, each in content.items() if type_ in _JSON), None)
    if found is None:
        maker.made.query.extend((name, str(value)) for name, value in maker.given.items())
        return
    example = examples.least(found["schema"])
    if not isinstance(example, dict):
        example = _required(found["schema"], schemas, examples)
    body: dict[str, Any] = {}
    for name, plain in example.items():
        if name in maker.given:
            continue
        value = await maker.of_row(name, plain)
        if value is NONE:
            maker.made.missing.append(f"{name} (a value that its rules allow)")
            continue
        body[name] = value
        maker.made.made_up.append(name)
    maker.made.body = {**body, **maker.given}


def _required(schema: Mapping[str, Any], schemas: Mapping[str, Any], examples: Examples) -> dict[str, Any]:
    """Return an example, or ``NONE``, of each member that a body must have."""
    named = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return {name: examples.least(named["properties"][name]) for name in named.get("required", ())}


_JSON = frozenset({"application/json", "application/merge-patch+json"})


class _Maker:
    """Makes an input; ``given`` is what nobody has asked for yet."""

    def __init__(self, given: dict[str, Any], who: Principal, existing: Existing) -> None:
        self.given = given
        self.made = Input(arguments={}, query=[], headers={}, made_up=[], missing=[])
        self._who = who
        self._existing = existing

    async def of_row(self, name: str, example: Any) -> Any:
        """Return the value of a row that is there, else the example."""
        found = await self._existing.value(name, self._who)
        return example if found is None else msgspec.to_builtins(found, enc_hook=str)

    async def text(self, name: str, field: str, schema: Any, examples: Examples) -> str:
        """Return a value as it stands in a path or a query string."""
        if name in self.given:
            return _as_text(self.given.pop(name))
        self.made.made_up.append(name)
        value = await self.of_row(field, examples.least(schema))
        if value is NONE:
            self.made.missing.append(f"{name} ({schema.get('format') or schema.get('type', 'a value')})")
            return ""
        return _as_text(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
