"""The document: paths and operations, with their parameters, bodies, answers, limits, security and examples."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from mainstay.deliver.openapi.examples import NONE, Examples
from mainstay.deliver.openapi.needs import needs_of
from mainstay.deliver.openapi.parameters import answers_entity, has_validator, parameters_of
from mainstay.deliver.openapi.problems import Codes, problem_schema, responses
from mainstay.deliver.openapi.schemas import Components, Schema
from mainstay.deliver.openapi.transfers import (
    HEADERS,
    OCTETS,
    file_responses,
    sends_file,
    stream_content,
    upload_content,
)
from mainstay.deliver.openapi.webhooks import security_name, sent_webhooks, signature_schemes, told_of_webhook
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.model.inputs import File
from mainstay.model.limits import Limit
from mainstay.model.naming import wire_name
from mainstay.model.operation import OperationKind, SelfAuthenticated, Signed
from mainstay.model.policy import Anyone, owner_fields
from mainstay.model.problem import Kind
from mainstay.model.schema import attribute_of
from mainstay.model.service import Case
from mainstay.model.signature import Parameter, Source

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_RULES = (
    "Errors are problem documents (RFC 9457): decide by their code. Unknown parameters and fields are refused. "
    "Text has no U+0000 and no lone surrogates; an integer is written without fraction and exponent. "
    "A page says in next the cursor of the one behind it."
)
_PLAIN_JSON = "application/json"
_JSON = frozenset({_PLAIN_JSON, "application/merge-patch+json"})
_SCHEMES: dict[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "basic": {"type": "http", "scheme": "basic"},
    "mutualTLS": {"type": "mutualTLS", "description": "A client certificate of an authority that is believed."},
}
_HEADERS: dict[str, Schema] = {
    "Cache-Control": {"description": "How long it may be kept, and by whom (RFC 9111).", "schema": {"type": "string"}},
    "Last-Modified": {"description": "When the row was changed (RFC 9110).", "schema": {"type": "string"}},
    "ETag": {"description": "The version of what is shown (RFC 9110).", "schema": {"type": "string"}},
    "Link": {"description": 'rel="next" names the next page (RFC 8288).', "schema": {"type": "string"}},
    "Location": {"description": "Where the new one is.", "schema": {"type": "string", "format": "uri-reference"}},
    "RateLimit": {"description": "What is left of each limit, and until when.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limits that apply.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds until it is worth another try.", "schema": {"type": "integer"}},
    "Idempotency-Replayed": {
        "description": "true where the reply of an earlier request is given again.",
        "schema": {"type": "string"},
    },
}


def openapi(
    bound: Bound,
    statuses: Mapping[Kind, int],
    *,
    codes: Codes = MappingProxyType({}),
    servers: Sequence[str] = (),
    edition: str = "",
    spellings: Sequence[str] = (),
    session: str = "",
) -> bytes:
    """Return the OpenAPI 3.1 document of a service as JSON, the same bytes for the same service.

    ``statuses`` is the REST door's table of statuses by kind of problem; ``codes`` those that doors and adapters add;
    ``edition`` names the version of the contract where there are several; ``spellings`` are the media types that stand
    for the same as JSON; ``session`` is the name of the cookie of sessions, where browsers keep any.
    """
    service = bound.service
    components = Components(bound.blueprint.shapes, service.case)
    paths: dict[str, Schema] = {}
    for operation in bound.operations:
        if operation.operation.kind is not OperationKind.CONSUMER:
            path = paths.setdefault(_path(operation.operation.path, service.case), {})
            made = _Operation(bound, operation, components, statuses, codes, session=bool(session)).make()
            _spell(made, spellings)
            path[operation.operation.method.lower()] = made
    _add_examples(paths, Examples(components.schemas))
    info: Schema = {"title": f"{service.title} {edition}".rstrip(), "version": service.version}
    info["description"] = "\n\n".join(text for text in (service.description, _RULES) if text)
    schemes = {name for path in paths.values() for made in path.values() for one in made["security"] for name in one}
    known = {**_SCHEMES, **signature_schemes(bound), "session": {"type": "apiKey", "in": "cookie", "name": session}}
    document: Schema = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": _DIALECT,
        "info": info,
        "servers": [{"url": url} for url in servers] or [{"url": "/"}],
        "tags": [{"name": m.name, "description": m.title} for m in service.modules],
        "paths": {path: paths[path] for path in sorted(paths)},
        **sent_webhooks(bound, components),
        "components": {
            "schemas": {**dict(sorted(components.schemas.items())), "Problem": problem_schema()},
            "headers": {**_HEADERS, **HEADERS},
            "securitySchemes": {name: known[name] for name in sorted(schemes)},
        },
    }
    return msgspec.json.encode(document)


def _path(path: str, case: Case) -> str:
    """Return a route with the names in its braces as they stand on the wire."""
    parts = (f"{{{wire_name(part[1:-1], case)}}}" if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


def _spell(made: Schema, spellings: Sequence[str]) -> None:
    """Add to what is given as JSON the other media types that stand for the same, and say that they are taken.

    A body has them in its description: tools that send bodies know to write JSON only, and stop at what they cannot.
    """
    if not spellings:
        return
    body = made.get("requestBody", {"content": {}})
    if _PLAIN_JSON in body["content"]:
        body["description"] = f"It may be sent as {' or '.join(spellings)} too, with the same meaning."
    for answer in made["responses"].values():
        content = answer.get("content", {})
        if _PLAIN_JSON in content:
            content.update({spelling: {"schema": content[_PLAIN_JSON]["schema"]} for spelling in spellings})


def _add_examples(paths: Mapping[str, Schema], examples: Examples) -> None:
    """Give every body and every answer in JSON an example, where one can be made."""
    for made in (operation for path in paths.values() for operation in path.values()):
        bodies = made.get("requestBody", {"content": {}})["content"]
        answers = [c for r in made["responses"].values() for t, c in r.get("content", {}).items() if t in _JSON]
        pairs = [(content, examples.least) for type_, content in bodies.items() if type_ in _JSON]
        for content, make in [*pairs, *((content, examples.whole) for content in answers)]:
            value = make(content["schema"])
            if value is not NONE:
                content["example"] = value


class _Operation:
    """Makes the description of one operation."""

    def __init__(
        self,
        bound: Bound,
        operation: BoundOperation,
        components: Components,
        statuses: Mapping[Kind, int],
        codes: Codes,
        *,
        session: bool = False,
    ) -> None:
        self._bound = bound
        self._operation = operation
        self._components = components
        self._statuses = statuses
        self._codes = codes
        self._known = ("bearer", "session") if session else ("bearer",)

    def make(self) -> Schema:
        declared = self._operation.operation
        made: Schema = {"operationId": self._name(declared.name), "tags": list(declared.tags)}
        made["summary"] = declared.summary.rstrip(".") or declared.name
        limits = self._limits()
        notes = [n for n in (declared.description, self._policy(), limits, told_of_webhook(declared.allow)) if n]
        if notes:
            made["description"] = "\n\n".join(notes)
        if declared.deprecated:
            made["deprecated"] = True
        given = parameters_of(self._bound, self._operation, self._components)
        if given:
            made["parameters"] = given
        body = self._body()
        if body is not None:
            made["requestBody"] = body
        made["responses"] = self._responses()
        made["security"] = self._security()
        made["x-mainstay-limits"] = [
            {"name": one.name, "quota": one.quota, "window": one.window, "by": one.by} for one in self._all_limits()
        ]
        return made

    def _name(self, name: str) -> str:
        return wire_name(name, self._bound.service.case)

    def _responses(self) -> Schema:
        made = self._success()
        if self._operation.operation.kind is OperationKind.QUERY and has_validator(self._operation):
            made["304"] = {"description": "It is still what If-None-Match names.", "headers": _headers(["ETag"])}
        if sends_file(self._operation):
            made.update(file_responses())
        return {**made, **responses(self._operation, self._statuses, self._codes)}

    def _all_limits(self) -> list[Limit]:
        return [*self._bound.service.limits, *self._operation.operation.limits]

    def _limits(self) -> str:
        limits = self._all_limits()
        return "Limits: " + ", ".join(f"{o.quota} in {o.window} s by {o.by}" for o in limits) + "." if limits else ""

    def _policy(self) -> str:
        policy = self._operation.operation.allow
        return "" if isinstance(policy, Anyone) else f"Allowed: {policy!r}."

    def _security(self) -> list[Schema]:
        policy = self._operation.operation.allow
        if isinstance(policy, Signed):
            return [{security_name(policy): []}]
        if isinstance(policy, SelfAuthenticated):
            return [{}, {"basic": []}]
        return list(needs_of(policy, self._known))

    def _body(self) -> Schema | None:
        signature, media = self._operation.signature, self._operation.media
        members = signature.of(Source.MEMBER)
        taken = signature.body
        if taken is None and not members:
            return None
        if taken is not None and taken.source is Source.UPLOAD:
            return {"required": True, "content": upload_content(self._operation, self._components, self._name)}
        if taken is not None and taken.source is Source.RAW:
            type_ = taken.target.media_type
            return {"required": True, "content": {OCTETS if "*" in type_ else type_: {"schema": {}}}}
        schema = self._members(members) if taken is None else self._whole(taken)
        required = taken is not None or any(p.required for p in members)
        return {"required": required, "content": {type_: {"schema": schema} for type_ in media.accepts}}

    def _whole(self, taken: Parameter) -> Schema:
        if taken.source is Source.BODY:
            return self._components.body(taken.target)
        policy = taken.target.__mainstay_rows__
        operation = self._operation.operation
        owned = [*owner_fields(policy)] if policy is not None else []
        if operation.resource is not None:
            owned.extend(operation.resource.owners(operation.verb))
        make = self._components.create if taken.source is Source.CREATE else self._components.patch
        return make(taken.target, owned)

    def _members(self, members: tuple[Parameter, ...]) -> Schema:
        properties = {self._name(p.name): self._components.value(p.attribute) for p in members if p.attribute}
        required = [self._name(p.name) for p in members if p.required]
        made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**made, "required": required} if required else made

    def _success(self) -> dict[str, Schema]:
        declared = self._operation.operation
        form, type_ = self._operation.signature.answer
        status = 204 if form == "none" and declared.status == 200 else declared.status
        made: Schema = {"description": "Done." if form == "none" else "The answer."}
        if form != "none" and status != 204:
            made["content"] = self._content(form, type_)
        headers = ["RateLimit", "RateLimit-Policy"] if self._all_limits() else []
        if answers_entity(self._operation) or has_validator(self._operation):
            headers.append("ETag")
        if declared.cache is not None:
            headers.append("Cache-Control")
            if answers_entity(self._operation):
                headers.append("Last-Modified")
        if form == "page":
            headers.append("Link")
        if sends_file(self._operation):
            headers.extend(["ETag", "Accept-Ranges", "Last-Modified"])
        if status == 201:
            headers.append("Location")
        if declared.kind is OperationKind.COMMAND and declared.idempotency != "none":
            headers.append("Idempotency-Replayed")
        if headers:
            made["headers"] = _headers(headers)
        return {str(status): made}

    def _content(self, form: str, type_: Any) -> Schema:
        if form == "file" or type_ is File:
            return {"application/octet-stream": {"schema": {}}}
        if form == "page":
            return {"application/json": {"schema": self._components.page(type_, part=self._chosen())}}
        item = self._value(type_)
        if form == "stream":
            return stream_content(item)
        return {"application/json": {"schema": {"type": "array", "items": item} if form == "list" else item}}

    def _chosen(self) -> bool:
        """Whether a caller chooses the fields of the answer."""
        return bool(self._operation.signature.of(Source.FIND))

    def _value(self, type_: Any) -> Schema:
        if inspect.isclass(type_) and issubclass(type_, msgspec.Struct):
            return self._components.part(type_) if self._chosen() else self._components.answer(type_)
        try:
            return self._components.value(attribute_of("answer", type_))
        except TypeError:
            return {}


def _headers(names: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
