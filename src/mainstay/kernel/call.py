"""A call and its reply: what every protocol makes and gets, with no protocol in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.kernel.received import Received
from mainstay.model.inputs import File
from mainstay.model.principal import Principal
from mainstay.ports.answering import Keep
from mainstay.ports.limiter import Verdict

if TYPE_CHECKING:
    from mainstay.kernel.bound import BoundOperation
    from mainstay.kernel.flow.records import InboxMessage

Body = bytes | Mapping[str, Any] | Received | None
BodyReader = Callable[[], Awaitable[bytes | Received]]


class Call(msgspec.Struct, kw_only=True):
    """One call of one operation. A protocol fills the first part, the stages fill the second.

    ``arguments`` are the route's braces as text; ``query`` are the pairs of the query string, decoded, in order;
    ``headers`` looks a header up by its lower-case name. ``body`` is the JSON text (or a mapping, where the
    protocol has parsed it); where it has not arrived yet, ``read`` waits for it.
    """

    operation: BoundOperation
    protocol: str = "rest"
    method: str = ""
    target: str = ""
    peer: str = ""  # the caller's address, as limits count it
    credentials: bytes | None = None  # the bearer token
    scheme: str | None = None  # of credentials of another scheme than Bearer: refused by name
    request_id: str = ""
    traceparent: str | None = None
    arguments: Mapping[str, str] = {}
    query: Sequence[tuple[str, str]] = ()
    headers: Callable[[str], str | None] = lambda _name: None
    body: Body = None
    read: BodyReader | None = None
    media_type: str | None = None  # of the body, without parameters
    filename: str | None = None
    idempotency_key: str | None = None
    if_match: tuple[int, ...] | None = None  # the versions named; () is "*"
    fingerprint_extra: bytes = b""

    principal: Principal = Principal.anonymous
    verdicts: list[Verdict] = []
    inputs: dict[str, Any] = {}
    message: InboxMessage | None = None  # what a consumer is called for
    delivery: str | None = None  # what its sender tells the message of a webhook apart by
    claim: bytes | None = None
    expired: bool = False  # there is a record of the claim that is past its time
    fingerprint: bytes = b""
    deadline: float | None = None  # monotonic
    replayed: bool = False
    attempts: int = 0
    committing: bool = False  # from here on nothing cancels the call: its outcome is the store's to tell
    depth: int = 0  # how many calls of this process it was asked through
    notes: list[Any] | None = None  # of security events in this attempt, as rows
    result: Any = None  # what the use case returned, for who asked in the same process
    reply: Reply | None = None


class Reply(msgspec.Struct, kw_only=True):
    """What comes back: the answer as JSON text, and the facts that a protocol makes its own headers of.

    It is stored for idempotent replays, so all must survive that but ``stream``, ``file``, ``keep`` and what only
    queries have.
    """

    body: bytes = b""
    status: int = 200
    version: int | None = None  # of the one row that the body shows
    view: str = ""  # what of the row is shown (fields, include, mask): part of a validator
    location: str | None = None  # the id of what was created
    next: str | None = None  # the cursor of the next page
    headers: tuple[tuple[str, str], ...] = ()
    secret: bool = False  # the answer shows a secret once: it is not stored and not cached
    keep: Keep | None = None  # what the client is to keep or to let go of; never given again
    replayed: bool = False
    file: File | None = None
    stream: AsyncIterator[Any] | None = None  # of Item, until a protocol makes bytes of them
    modified: datetime | None = None  # when the one row that is shown whole was changed; of what may be cached
    keys: tuple[str, ...] = ()  # the entities and rows shown, as caches know them; of what may be cached
