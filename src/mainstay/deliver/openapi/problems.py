"""The problems of an operation: every answer that is no success, by status, its codes an enum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any, get_origin

from mainstay.deliver.openapi.parameters import answers_entity
from mainstay.deliver.openapi.transfers import transfer_problems
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.guard.once import IdempotencyInFlight, IdempotencyKeyRequired, IdempotencyKeyReused
from mainstay.kernel.guard.signed import SignatureInvalid
from mainstay.kernel.stages import CredentialsMissing
from mainstay.kernel.validate.problems import InvalidParameter, UnknownParameter
from mainstay.model.operation import OperationKind, SelfAuthenticated, Signed
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
    ReferenceConflict,
    StaleVersion,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UniqueConflict,
    UnsupportedMedia,
)
from mainstay.model.signature import Source
from mainstay.ports.bulk import Bulk
from mainstay.ports.cursor import CursorInvalid
from mainstay.ports.repository import MoreThanOne, Repository

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
    found = [*_COMMON, *_access(bound), *_input(bound), *_state(bound), *_rows(bound)]
    found.extend([*transfer_problems(bound), *bound.operation.raises])
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
    if isinstance(operation.allow, Signed):
        yield SignatureInvalid
    elif not isinstance(operation.allow, Anyone | SelfAuthenticated):
        yield CredentialsMissing
        if not isinstance(operation.allow, Authenticated):
            yield Forbidden


def _input(bound: BoundOperation) -> Iterator[type[Problem]]:
    signature = bound.signature
    yield UnknownParameter
    if signature.of(Source.QUERY, Source.HEADER, Source.FIND):
        yield InvalidParameter
    if signature.of(Source.FIND) and bound.operation.verb != "get":
        yield CursorInvalid
    if signature.of(Source.PATH):
        yield NotFound
    if bound.media.accepts:
        yield from (TooLarge, UnsupportedMedia)
    if bound.media.accepts or signature.of(Source.PATH, Source.HEADER):
        yield Invalid


def _rows(bound: BoundOperation) -> Iterator[type[Problem]]:
    """Yield what repositories raise. A resource says itself which conflicts it may meet; a use case may meet all."""
    targets = [p.target for p in bound.signature.of(Source.DEPENDENCY)]
    ports = {get_origin(target) or target for target in targets}
    command = bound.operation.kind is OperationKind.COMMAND
    if command and ports & {Repository, Bulk}:
        yield Forbidden
    if not bound.operation.verb and Repository in ports:
        names = code_names(bound.operation.function)
        if names & {"get", "one"} or not names & _VERBS:
            yield NotFound
        if "one" in names or not names & _VERBS:
            yield MoreThanOne
    if command and not bound.operation.verb and ports & {Repository, Bulk}:
        yield from (UniqueConflict, ReferenceConflict, StaleVersion, Invalid)


_VERBS = frozenset({"get", "one", "page", "stream", "count", "add", "update", "delete"})


def code_names(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names that a function's own code uses, those of functions inside it too."""
    found: set[str] = set()
    waiting = [getattr(function, "__code__", None)]
    while waiting:
        code = waiting.pop()
        if isinstance(code, CodeType):
            found.update(code.co_names)
            waiting.extend(code.co_consts)
    return frozenset(found)


def _state(bound: BoundOperation) -> Iterator[type[Problem]]:
    operation = bound.operation
    if operation.kind is not OperationKind.COMMAND:
        if answers_entity(bound):
            yield PreconditionFailed
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
    if bound.operation.kind is not OperationKind.COMMAND:
        further = {kind: codes for kind, codes in further.items() if kind is not Kind.FORBIDDEN}
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in problems_of(bound):
        by_status.setdefault(statuses[problem.kind], []).append(problem)
    made = {status: _response(by_status[status], status, further) for status in by_status}
    for kind in further:
        if kind in _OF_THE_DOOR and (kind is not Kind.TIMED_OUT_READING or bound.media.accepts):
            made.setdefault(statuses[kind], _of_the_door(_OF_THE_DOOR[kind], statuses[kind], sorted(further[kind])))
    return {str(status): made[status] for status in sorted(made)}


# A door refuses these before it runs the operation: their codes are its own, and any operation may meet them, of those
# that are forbidden any command.
_OF_THE_DOOR = {
    Kind.FORBIDDEN: "The request was made by a page of another site",
    Kind.TIMED_OUT_READING: "The request did not arrive in time",
    Kind.URI_TOO_LONG: "The path and query are longer than is accepted",
    Kind.HEADERS_TOO_LARGE: "The header fields are larger or more than is accepted",
}


def _of_the_door(title: str, status: int, codes: list[str]) -> Schema:
    schema = _of_codes(codes)
    examples = {
        code: {"value": {"title": title, "status": status, "detail": title, "code": code}} for code in sorted(codes)
    }
    return {"description": f"{title}.", "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}


def _of_codes(codes: Iterable[str]) -> Schema:
    known: Schema = {"properties": {"code": {"enum": sorted(codes)}}}
    return {"allOf": [{"$ref": "#/components/schemas/Problem"}, known]}


def _example(problem: type[Problem], status: int) -> Schema:
    told: Schema = {"title": problem.title, "status": status, "detail": problem.title, "code": problem.code}
    if problem.hint is not None:
        told["hint"] = problem.hint
    return {"value": told}


def _response(problems: list[type[Problem]], status: int, further: Codes) -> Schema:
    codes = {problem.code for problem in problems}
    for problem in problems:
        codes.update(further.get(problem.kind, ()))
    schema = _of_codes(codes)
    titles = dict.fromkeys(problem.title for problem in problems)
    examples = {problem.code: _example(problem, status) for problem in problems}
    content = {MEDIA_TYPE: {"schema": schema, "examples": dict(sorted(examples.items()))}}
    made: Schema = {"description": "; ".join(titles) + ".", "content": content}
    if any(problem.kind is Kind.TOO_MANY for problem in problems):
        made["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return made
