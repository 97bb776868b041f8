"""The Problem tree: every error that a caller may see, independent of any protocol.

A problem has a code (stable, snake_case, part of the contract), a kind (what a protocol maps to its own status), a
detail (for people), an optional hint (what to do) and members (extra facts for programs). Each protocol owns one table
from kind to status. Teams subclass the kinds below; the code is the class's name in snake_case, or ``code=``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

import msgspec

_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code", "hint", "faults"})


class Kind(Enum):
    """What went wrong, in the terms that every protocol has a word for."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    TIMED_OUT_READING = "timed_out_reading"
    CONFLICT = "conflict"
    GONE = "gone"
    LENGTH_REQUIRED = "length_required"
    PRECONDITION_FAILED = "precondition_failed"
    TOO_LARGE = "too_large"
    URI_TOO_LONG = "uri_too_long"
    UNSUPPORTED_MEDIA = "unsupported_media"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    EXPECTATION_FAILED = "expectation_failed"
    MISDIRECTED = "misdirected"
    INVALID = "invalid"
    PRECONDITION_REQUIRED = "precondition_required"
    TOO_MANY = "too_many"
    HEADERS_TOO_LARGE = "headers_too_large"
    INTERNAL = "internal"
    NOT_SUPPORTED = "not_supported"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    LEFT = "left"


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault of an input.

    ``pointer`` is an RFC 6901 JSON Pointer into the body ("" is the whole body); ``parameter`` names a path, query or
    header parameter instead. ``code`` is stable; ``detail`` says what is expected and never repeats the value.
    """

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None


def snake_case(name: str) -> str:
    """Return a CamelCase class name as snake_case: ``OutOfStock`` is ``out_of_stock``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Problem(Exception):
    """The root of the tree. Raise one of its kinds or a subclass of them, never this class itself.

    ``detail`` is shown to the caller: write nothing in it that the caller may not know. ``members`` become members of
    the answer's problem document (RFC 9457, section 3.2) and must be JSON values.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL
    code: ClassVar[str] = "problem"
    title: ClassVar[str] = "Problem"
    hint: ClassVar[str | None] = None

    def __init_subclass__(cls, *, kind: Kind | None = None, code: str | None = None, hint: str | None = None) -> None:
        super().__init_subclass__()
        if kind is not None:
            cls.kind = kind
        cls.code = code or snake_case(cls.__name__)
        cls.title = (cls.__doc__ or cls.code.replace("_", " ").capitalize()).strip().splitlines()[0].rstrip(".")
        if hint is not None:
            cls.hint = hint

    def __init__(
        self,
        detail: str | None = None,
        /,
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        **members: Any,
    ) -> None:
        clash = _RESERVED.intersection(members)
        if clash:
            raise TypeError(f"{type(self).__name__}: {sorted(clash)} are members of every problem, choose other names")
        super().__init__(detail or self.title)
        self.detail: str = detail or self.title
        self.faults: tuple[Fault, ...] = tuple(faults)
        self.members: dict[str, Any] = members
        self.headers: Mapping[str, str] | None = headers
        self.retry_after: float | None = retry_after  # seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.detail, self.faults, self.headers, self.retry_after, self.members)


def _rebuild(
    cls: type[Problem],
    detail: str,
    faults: Sequence[Fault],
    headers: Mapping[str, str] | None,
    retry_after: float | None,
    members: dict[str, Any],
) -> Problem:
    return cls(detail, faults=faults, headers=headers, retry_after=retry_after, **members)


class Malformed(Problem, kind=Kind.MALFORMED):
    """The request cannot be understood."""


class Unauthenticated(Problem, kind=Kind.UNAUTHENTICATED):
    """Valid credentials are needed."""


class Forbidden(Problem, kind=Kind.FORBIDDEN):
    """The caller may not do this."""


class NotFound(Problem, kind=Kind.NOT_FOUND):
    """There is no such thing, or the caller may not see it."""


class Conflict(Problem, kind=Kind.CONFLICT):
    """The request does not fit the present state."""


class StaleVersion(Conflict, hint="Read the row again and repeat the change on what it is now."):
    """The row was changed by someone else since it was read."""


class UniqueConflict(Conflict):
    """Another row has this value already."""


class ReferenceConflict(Conflict):
    """A reference names a row that is not there, or other rows still refer to this one."""


class Gone(Problem, kind=Kind.GONE):
    """It was here and is no more."""


class PreconditionFailed(Problem, kind=Kind.PRECONDITION_FAILED):
    """The condition of the request does not hold."""


class RangeNotSatisfiable(Problem, kind=Kind.RANGE_NOT_SATISFIABLE):
    """None of what the Range asks for is there."""


class PreconditionRequired(Problem, kind=Kind.PRECONDITION_REQUIRED):
    """The request must be conditional."""


class TooLarge(Problem, kind=Kind.TOO_LARGE):
    """The request is larger than is accepted."""


class UnsupportedMedia(Problem, kind=Kind.UNSUPPORTED_MEDIA):
    """The body's media type is not accepted here."""


class NotAcceptable(Problem, kind=Kind.NOT_ACCEPTABLE):
    """None of the media types asked for can be given."""


class Invalid(Problem, kind=Kind.INVALID):
    """The input breaks rules; each fault is listed."""


class TooMany(Problem, kind=Kind.TOO_MANY, code="rate_limited"):
    """A rate limit is used up."""


class Internal(Problem, kind=Kind.INTERNAL, code="internal_error"):
    """Something went wrong on our side."""


class CallerLeft(Problem, kind=Kind.LEFT):
    """The caller did not wait for the answer."""


class NotSupported(Problem, kind=Kind.NOT_SUPPORTED):
    """This is not supported."""


class Unavailable(Problem, kind=Kind.UNAVAILABLE):
    """The service cannot answer now; try again later."""


class NotCommitted(Unavailable, hint="Nothing was changed: it is safe to send the request again."):
    """The change was rolled back."""


class CommitUnknown(Unavailable, hint="Read the state before you repeat the request, or repeat it with its key."):
    """It is not known whether the change was stored."""


class DeadlineExceeded(Problem, kind=Kind.DEADLINE):
    """The call took longer than it may."""


class SerializationConflict(NotCommitted):
    """The change met a concurrent one and was rolled back."""
