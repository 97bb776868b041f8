"""Problems over HTTP: the one table from kind to status, and the documents of RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from mainstay.model.problem import Gone, Kind, Malformed, Problem

STATUS: Mapping[Kind, int] = MappingProxyType(
    {
        Kind.MALFORMED: 400,
        Kind.UNAUTHENTICATED: 401,
        Kind.FORBIDDEN: 403,
        Kind.NOT_FOUND: 404,
        Kind.METHOD_NOT_ALLOWED: 405,
        Kind.NOT_ACCEPTABLE: 406,
        Kind.TIMED_OUT_READING: 408,
        Kind.CONFLICT: 409,
        Kind.GONE: 410,
        Kind.LENGTH_REQUIRED: 411,
        Kind.PRECONDITION_FAILED: 412,
        Kind.TOO_LARGE: 413,
        Kind.URI_TOO_LONG: 414,
        Kind.UNSUPPORTED_MEDIA: 415,
        Kind.RANGE_NOT_SATISFIABLE: 416,
        Kind.EXPECTATION_FAILED: 417,
        Kind.MISDIRECTED: 421,
        Kind.INVALID: 422,
        Kind.PRECONDITION_REQUIRED: 428,
        Kind.TOO_MANY: 429,
        Kind.HEADERS_TOO_LARGE: 431,
        Kind.INTERNAL: 500,
        Kind.NOT_SUPPORTED: 501,
        Kind.UNAVAILABLE: 503,
        Kind.DEADLINE: 504,
        Kind.LEFT: 499,  # in logs and counts only: there is nobody to read it
    }
)


class RequestMalformed(Malformed):
    """The request is not well-formed HTTP."""


class PathMalformed(Malformed):
    """The path is not well-formed: percent-encoded UTF-8 is expected."""


class QueryMalformed(Malformed):
    """The query string is not well-formed: percent-encoded UTF-8 is expected."""


class HeaderMalformed(Malformed):
    """A header field is not well-formed."""


class NoRoute(Problem, kind=Kind.NOT_FOUND, code="not_found"):
    """There is nothing at this path."""


class VersionEnded(Gone):
    """This version of the service has ended."""


class MethodNotAllowed(Problem, kind=Kind.METHOD_NOT_ALLOWED):
    """The path does not take this method."""


class Misdirected(
    Problem,
    kind=Kind.MISDIRECTED,
    code="misdirected_request",
    hint="Call the service by its own name; whoever runs it lists its names in http.hosts.",
):
    """This service does not answer for that host."""


class TargetTooLong(Problem, kind=Kind.URI_TOO_LONG, code="uri_too_long"):
    """The path and query are longer than is accepted."""


class HeadersTooLarge(Problem, kind=Kind.HEADERS_TOO_LARGE):
    """The header fields are larger or more than is accepted."""


class TooManyConnections(Problem, kind=Kind.UNAVAILABLE):
    """There are as many connections as there may be, in all or from one address."""


class ReadTimeout(Problem, kind=Kind.TIMED_OUT_READING, code="read_timeout"):
    """The request did not arrive in time."""


class ExpectationFailed(Problem, kind=Kind.EXPECTATION_FAILED):
    """The expectation of the request cannot be met: only 100-continue is known."""


class MethodUnknown(Problem, kind=Kind.NOT_SUPPORTED):
    """The method is not known here."""


class TransferCodingUnknown(Problem, kind=Kind.NOT_SUPPORTED):
    """The transfer coding is not known here: only chunked is."""


class VersionNotSupported(Problem, kind=Kind.NOT_SUPPORTED, code="http_version_not_supported"):
    """The version of HTTP is not supported here: HTTP/1.1 and HTTP/1.0 are."""


def status_of(problem: Problem) -> int:
    """Return the status code of a problem."""
    return 505 if isinstance(problem, VersionNotSupported) else STATUS[problem.kind]


def document(problem: Problem, status: int, base: str) -> bytes:
    """Return the problem document (RFC 9457): its type is ``base`` and the code; the order of members is fixed."""
    members: dict[str, Any] = {
        "type": base + problem.code,
        "title": problem.title,
        "status": status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.hint is not None:
        members["hint"] = problem.hint
    if problem.faults:
        members["faults"] = problem.faults
    if problem.members:
        members.update(problem.members)
    return msgspec.json.encode(members)
