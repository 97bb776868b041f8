"""An operation: a use case with what was declared of it. Annotations are resolved when the service is sealed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal

import msgspec

from mainstay.model.caching import Caching
from mainstay.model.limits import Limit
from mainstay.model.policy import CallPolicy
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.model.signature_schemes import SCHEMES, SignatureScheme

UseCase = Callable[..., Any]
KeyUse = Literal["optional", "required", "none"]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class OperationKind(Enum):
    """What an operation does to the world."""

    COMMAND = "command"
    QUERY = "query"
    CONSUMER = "consumer"


Isolation = Literal["serializable", "repeatable_read", "read_committed"]
"""What a command may see of others that run beside it: nothing, no change of what it has read, what they commit."""


OnDead = Literal["park", "continue"]
"""What becomes of a key's messages behind a dead letter: they wait for somebody to look, or go on without it."""


class Source(msgspec.Struct, frozen=True):
    """Where something was declared: for messages to the team."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Operation(msgspec.Struct, kw_only=True, frozen=True):
    """A use case as declared. ``name`` is unique in the service and the same for every protocol."""

    name: str
    kind: OperationKind
    module: str
    function: UseCase
    source: Source
    method: str = ""
    path: str = ""
    status: int = 200
    allow: Any = None  # a Policy, a Signed, or None, which is a start-up fault
    limits: tuple[Limit, ...] = ()
    raises: tuple[type[Problem], ...] = ()
    idempotency: KeyUse = "none"
    precondition: bool = False  # If-Match is required (428 without it)
    deadline: float | None = None  # seconds
    external: bool = False
    isolation: Isolation = "serializable"  # of a command
    event: Any = None  # the Event class of a consumer, or its "module.Name"
    attempts: int = 10  # of a consumer, before its message goes to the dead letters
    concurrency: int = 8  # of a consumer: messages at once, in each process
    latest_only: bool = False  # of a consumer: messages that come behind later ones of their key are passed over
    on_dead: OnDead = "park"  # what becomes of a key behind a dead letter
    reads: tuple[int, ...] = ()  # of a consumer: versions of the event that it reads as the class of another one
    summary: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    resource: Any = None  # the Resource that it was made by
    verb: str = ""  # of a resource: list, get, create, update, delete
    deprecated: bool | date = False  # since when, where that is known
    sunset: date | None = None  # when it ends
    successor: str | None = None  # the path or URL of what to use instead
    cache: Caching | None = None  # of a query: what caches may keep
    since: str | None = None  # the first version of the service that has it; None: from the first on
    until: str | None = None  # the last version that has it; None: to the last


class Signed(CallPolicy, frozen=True):
    """Allow a call whose raw body carries a valid signature of the scheme, for example "standard-webhooks".

    The signature is checked by a stage of its own, once the body is there. The call is that of ``sender`` then. With
    ``once`` a message that was taken before is answered, and has no second effect.
    """

    scheme: str | SignatureScheme
    secret: str  # the name of the setting that holds the secret
    previous: tuple[str, ...] = ()  # those of settings that hold, where they are set, secrets on their way in or out
    sender: str = ""
    once: bool = False

    def allows(self, who: Principal) -> bool:  # noqa: ARG002
        return True

    @property
    def found(self) -> SignatureScheme | None:
        """The scheme, or None where it is given by a name that is none."""
        return SCHEMES.get(self.scheme) if isinstance(self.scheme, str) else self.scheme

    def __repr__(self) -> str:
        scheme = self.scheme if isinstance(self.scheme, str) else self.scheme.name
        return f"signed({scheme!r})"


class SelfAuthenticated(CallPolicy, frozen=True):
    """Allow every call: the use case itself finds out who calls, by what it takes from the head and the body.

    The credentials of the call are left for it to judge. They make no principal, whatever their scheme is.
    """

    def allows(self, who: Principal) -> bool:  # noqa: ARG002
        return True

    def __repr__(self) -> str:
        return "self_authenticated"


self_authenticated: CallPolicy = SelfAuthenticated()
"""Every call: the use case itself finds out who calls."""


def signed(scheme: str | SignatureScheme, *, secret: str | Sequence[str]) -> Signed:
    """Allow a call whose body is signed: ``allow=signed("standard-webhooks", secret="payments_webhook_secret")``.

    ``secret`` names the setting (``[secrets]`` of the settings, or ``MAINSTAY_SECRET_<NAME>``) that holds the secret.
    Of several names the first must be set; the others are for the time in which a secret is replaced.
    """
    first, *others = (secret,) if isinstance(secret, str) else secret
    return Signed(scheme, first, tuple(others))


def source_of(function: Any) -> Source:
    """Return where a function or class was declared, as well as Python knows it."""
    target = inspect.unwrap(function) if callable(function) and not inspect.isclass(function) else function
    code = getattr(target, "__code__", None)
    if code is not None:
        return Source(code.co_filename, code.co_firstlineno)
    try:
        return Source(inspect.getsourcefile(target) or "?", inspect.getsourcelines(target)[1])
    except (OSError, TypeError):
        return Source(getattr(target, "__module__", "?"), 0)


def caller_source(depth: int) -> Source:
    """Return the line that called, ``depth`` frames up from the caller of this function."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame.f_back if frame is not None else None
    return Source(frame.f_code.co_filename, frame.f_lineno) if frame is not None else Source("?", 0)


def caller_module(depth: int) -> str:
    """Return the name of the Python module that called, ``depth`` frames up from the caller of this function."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame.f_back if frame is not None else None
    return str(frame.f_globals.get("__name__", "")) if frame is not None else ""


def describe(function: UseCase) -> tuple[str, str]:
    """Return the first line of a docstring and the rest."""
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n")
    return summary.strip(), rest.strip()


def moment_of(day: date) -> datetime:
    """Return a time as it is, and a day as its beginning in UTC."""
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day, tzinfo=UTC)


def route_of(route: str) -> tuple[str, str]:
    """Split ``"POST /orders"``. Raises ``ValueError`` that says what a route looks like."""
    method, _, path = route.strip().partition(" ")
    if method not in METHODS or not path.startswith("/"):
        raise ValueError(f'route "{route}": expected METHOD /path, for example "GET /orders/{{order_id}}"')
    return method, path.strip()


def problems_of(raises: Sequence[type[Problem]]) -> tuple[type[Problem], ...]:
    """Check that what an operation raises are problems."""
    for raised in raises:
        if not (isinstance(raised, type) and issubclass(raised, Problem)):
            raise TypeError(f"raises: {raised!r} is no Problem class")
    return tuple(raises)
