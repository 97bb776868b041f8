"""The problems of an operation: every answer that is no success, by status, its codes an enum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.guard.once import IdempotencyInFlight, IdempotencyKeyRequired, IdempotencyKeyReused
from mainstay.kernel.stages import CredentialsMissing
from mainstay.model.operation import OperationKind
from mainstay.model.policy import Anyone, Authenticated
from mainstay.model.problem import (
    DeadlineExceeded,
    Forbidden,
    Internal,
    Invalid,
    Kind,
    Malformed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from mainstay.model.signature import Source

Schema = dict[str, Any]

MEDIA_TYPE = "application/problem+json"

Codes = Mapping[Kind, Sequence[str]]
"""Further codes of a kind: those that doors and adapters answer with, whatever the operation."""


def problem_schema() -> Schema:
    """Return the schema of a problem document (RFC 9457) as this service writes it."""
    fault = {
        "type": "object",
        "properties": {
            "code": {"type": "string"},
            "detail": {"type": "string", "description": "What is expected; never the value that was sent."},
            "pointer": {"type": "string", "description": "A JSON Pointer (RFC 6901) into the body."},
            "parameter": {"type": "string", "description": "The path, query or header parameter."},
        },
        "required": ["code", "detail"],
    }
    return {
        "type": "object",
        "description": "A problem (RFC 9457).",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "description": "Stable: decide by it."},
            "hint": {"type": "string", "description": "What to do."},
            "request_id": {"type": "string"},
            "faults": {"type": "array", "items": fault},
        },
        "required": ["title", "status", "code"],
    }


def problems_of(bound: BoundOperation) -> list[type[Problem]]:
    """Return the problems that an operation may answer with, those of the pipeline and those that it declares."""
    found = [*_COMMON, *_access(bound), *_input(bound), *_state(bound), *bound.operation.raises]
    return list(dict.fromkeys(found))


# 429 is among them: every address that keeps sending refused credentials meets it.
_COMMON: tuple[type[Problem], ...] = (
    NotAcceptable,
    Internal,
    Unavailable,
    DeadlineExceeded,
    Unauthenticated,
    Malformed,
    TooMany,
)


def _access(bound: BoundOperation) -> Iterator[type[Problem]]:
    operation = bound.operation
    if not isinstance(operation.allow, Anyone):
        yield CredentialsMissing
        if not isinstance(operation.allow, Authenticated):
            yield Forbidden
    if operation.verb in ("create", "update"):
        yield Forbidden


def _input(bound: BoundOperation) -> Iterator[type[Problem]]:
    signature = bound.signature
    if signature.of(Source.PATH):
        yield NotFound
    if bound.media.accepts:
        yield from (TooLarge, UnsupportedMedia)
    if bound.media.accepts or signature.of(Source.PATH, Source.HEADER):
        yield Invalid


def _state(bound: BoundOperation) -> Iterator[type[Problem]]:
    operation = bound.operation
    if operation.kind is not OperationKind.COMMAND:
        return
    if operation.idempotency != "none":
        yield from (IdempotencyInFlight, IdempotencyKeyReused)
    if operation.idempotency == "required":
        yield IdempotencyKeyRequired
    if bound.signature.of(Source.PATH):
        yield PreconditionFailed
    if operation.precondition:
        yield PreconditionRequired


def responses(bound: BoundOperation, statuses: Mapping[Kind, int], further: Codes) -> dict[str, Schema]:
    """Return the responses that are problems, in the order of their statuses, with their codes as an enum."""
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems_of(bound):
        by_status.setdefault(statuses[problem.kind], []).append(problem)
    return {str(status): _response(by_status[status], further) for status in sorted(by_status)}


def _response(problems: list[type[Problem]], further: Codes) -> Schema:
    codes = {problem.code for problem in problems}
    for problem in problems:
        codes.update(further.get(problem.kind, ()))
    known: Schema = {"properties": {"code": {"enum": sorted(codes)}}}
    schema: Schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, known]}
    titles = dict.fromkeys(problem.title for problem in problems)
    made: Schema = {"description": "; ".join(titles) + ".", "content": {MEDIA_TYPE: {"schema": schema}}}
    if any(problem.kind is Kind.TOO_MANY for problem in problems):
        made["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return made
