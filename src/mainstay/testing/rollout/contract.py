"""The contract of a running version, as a client reads it: what may be asked, and what may be answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mainstay.testing.rollout.schemas import Judge, Schema

JSON = "application/json"
_BODIES = (JSON, "application/merge-patch+json")
_PROBLEM = "application/problem+json"
_ROLES = re.compile(r"\b(role|scope)\(((?:'[^']*'(?:, )?)+)\)")
_SERVER_FAULT = 500


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. ``path`` is a template with its prefix; ``entity`` names what it answers, as far as that is named.

    ``answers`` holds, by status, the schema of the body (None: there is none, or of no form that is looked into).
    """

    name: str
    method: str
    path: str
    parameters: tuple[Schema, ...]
    body: Schema | None
    media_type: str
    body_required: bool
    answers: Mapping[int, Schema | None]
    entity: str
    open: bool

    @property
    def changes(self) -> bool:
        """Whether it may change anything."""
        return self.method != "GET"

    @property
    def places(self) -> list[str]:
        """The names in the braces of its path."""
        return re.findall(r"{([^}]+)}", self.path)


class Contract:
    """What one version promises."""

    def __init__(self, document: bytes) -> None:
        told: Mapping[str, Any] = msgspec.json.decode(document)
        self.judge: Judge = Judge(told["components"]["schemas"])
        self.version: str = told["info"]["version"]
        self.entities: frozenset[str] = frozenset(told["components"]["schemas"])
        self.endpoints: list[Endpoint] = []
        self.left_out: dict[str, str] = {}
        names = [(kind, re.findall(r"'([^']*)'", inside)) for kind, inside in _ROLES.findall(document.decode())]
        self.roles: frozenset[str] = frozenset(name for kind, given in names if kind == "role" for name in given)
        self.scopes: frozenset[str] = frozenset(name for kind, given in names if kind == "scope" for name in given)
        self._read(told)

    def _read(self, told: Mapping[str, Any]) -> None:
        prefix = told["servers"][0]["url"].rstrip("/")
        for path, methods in told["paths"].items():
            for method, operation in methods.items():
                name = str(operation["operationId"])
                reason = _beyond(operation)
                if reason:
                    self.left_out[name] = reason
                else:
                    self.endpoints.append(self._endpoint(f"{prefix}{path}", method.upper(), operation))

    def _endpoint(self, path: str, method: str, operation: Mapping[str, Any]) -> Endpoint:
        taken = operation.get("requestBody", {"content": {}})
        media_type = next((one for one in _BODIES if one in taken["content"]), "")
        answers = {int(status): _content(answer) for status, answer in operation["responses"].items()}
        return Endpoint(
            name=operation["operationId"],
            method=method,
            path=path,
            parameters=tuple(operation.get("parameters", ())),
            body=taken["content"][media_type]["schema"] if media_type else None,
            media_type=media_type,
            body_required=bool(taken.get("required")),
            answers=answers,
            entity=next((self.entity_of(s) for code, s in answers.items() if code < 300 and s is not None), ""),
            open={} in operation["security"],
        )

    def entity_of(self, schema: Schema) -> str:
        """Return the name of what a schema describes: of one, of its part, of a list or of a page of them."""
        name, schema = self.judge.resolved(schema)
        items = schema.get("properties", {}).get("items", {}).get("items") if name.endswith("Page") else None
        items = schema.get("items") if schema.get("type") == "array" else items
        return self.entity_of(items) if items else name.removesuffix("Part")

    def getter(self, entity: str) -> Endpoint | None:
        """Return the operation that gives one of a kind by its id."""
        fitting = (
            one
            for one in self.endpoints
            if one.method == "GET" and one.entity == entity and one.path.endswith("}") and len(one.places) == 1
        )
        return next(fitting, None)

    def complaint(self, endpoint: Endpoint, status: int, media_type: str, body: bytes) -> str | None:
        """Say in what an answer is a failure, or beyond the contract; None where it is neither."""
        if status >= _SERVER_FAULT:
            return f"{status} {_shortened(body)}"
        if status not in endpoint.answers:
            return f"{status}, which its contract does not name: {_shortened(body)}"
        schema = endpoint.answers[status]
        if schema is None:
            return None
        if media_type not in (JSON, _PROBLEM):
            return f"{status} with {media_type or 'no media type'}"
        try:
            fault = self.judge.fault(schema, msgspec.json.decode(body))
        except msgspec.DecodeError as error:
            return f"{status} with a body that is no JSON: {error}"
        return None if fault is None else f"{status} that breaks its contract: {fault}"

    def objects(self, schema: Schema, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the objects in an answer that are of a named kind, each with the name."""
        name, schema = self.judge.resolved(schema)
        if isinstance(value, dict):
            if name and not name.endswith("Page"):
                yield name.removesuffix("Part"), value
            for key, inner in schema.get("properties", {}).items():
                if key in value:
                    yield from self.objects(inner, value[key])
        elif isinstance(value, list) and "items" in schema:
            for one in value:
                yield from self.objects(schema["items"], one)


def _beyond(operation: Mapping[str, Any]) -> str:
    """Say why an operation is not asked, if it is not."""
    if any("signature" in one for one in operation["security"]):
        return "it takes signed bodies"
    content = operation.get("requestBody", {"content": {}})["content"]
    if content and not any(one in content for one in _BODIES):
        return "it takes files"
    given = [answer for status, answer in operation["responses"].items() if int(status) < 300]
    if any(answer.get("content") and JSON not in answer["content"] for answer in given):
        return "it gives files or streams"
    return ""


def _content(answer: Mapping[str, Any]) -> Schema | None:
    content = answer.get("content", {})
    found = content.get(JSON) or content.get(_PROBLEM)
    return None if found is None else found["schema"]


def _shortened(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return text if len(text) <= 300 else f"{text[:300]}..."
