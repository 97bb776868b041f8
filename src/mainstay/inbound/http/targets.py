"""What a route leads to: an operation with its HTTP facts put together at start-up, a document, or a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from mainstay.inbound.http.encode import Answers, ReplyEncoder
from mainstay.inbound.http.lifetime import lifetime_lines
from mainstay.inbound.http.negotiate import JSON
from mainstay.inbound.http.options import HttpOptions
from mainstay.kernel.bound import BoundOperation
from mainstay.model.operation import OperationKind
from mainstay.model.signature import Source

PageContent = tuple[int, str, bytes]
"""Status, media type, body."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that are served as they are, with a strong validator. ``etag`` stands in its quotes."""

    body: bytes
    media_type: str
    etag: str
    headers: tuple[tuple[str, str], ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Something made anew for each request: health, readiness, metrics.

    One that says whether the service is ``ready`` is answered 503 by the door itself while it drains.
    """

    make: Callable[[], PageContent | Awaitable[PageContent]]
    ready: bool = False


class OperationTarget:
    """An operation as the door needs it."""

    __slots__ = (
        "accept_field",
        "accepts",
        "bound",
        "encode",
        "gives",
        "keyed",
        "lifetime",
        "limit",
        "method",
        "precondition",
        "query",
        "strict",
        "takes_body",
        "upload",
        "usual",
    )

    def __init__(self, bound: BoundOperation, location: str | None, options: HttpOptions, answers: Answers) -> None:
        operation, body = bound.operation, bound.signature.body
        self.bound = bound
        self.method = operation.method
        self.query = operation.kind is OperationKind.QUERY
        self.upload = body is not None and body.source is Source.UPLOAD
        self.takes_body = not self.query and (body is not None or bool(bound.signature.of(Source.MEMBER)))
        self.accepts = bound.media.accepts or ((JSON,) if self.takes_body else ())
        self.gives = bound.media.gives
        self.keyed = operation.idempotency != "none"
        self.precondition = operation.precondition
        self.limit = options.max_upload_bytes if self.upload else options.max_body_bytes
        self.strict = self.takes_body or self.precondition
        self.usual = frozenset({b"*/*", self.gives.encode()})
        self.accept_field = {"POST": "Accept-Post", "PATCH": "Accept-Patch"}.get(self.method, "Accept")
        self.lifetime = lifetime_lines(operation)
        self.encode = ReplyEncoder(answers, self.gives, location)


class DocumentTarget:
    """A document, as a target."""

    __slots__ = ("document",)
    bound = None
    strict = query = False

    def __init__(self, document: Document) -> None:
        self.document = document


class PageTarget:
    """A page, as a target."""

    __slots__ = ("page",)
    bound = None
    strict = query = False

    def __init__(self, page: Page) -> None:
        self.page = page


class Nothing:
    """The target of a request that the door itself has answered."""

    bound = None
    strict = query = False


Target = OperationTarget | DocumentTarget | PageTarget | Nothing


def location_of(bound: BoundOperation, operations: Sequence[BoundOperation]) -> str | None:
    """Return the path that the id of what an operation creates is appended to: that of the query which reads one.

    None where there is no such query, or where it has other names in braces: the request's own path serves then.
    """
    operation = bound.operation
    for other in operations:
        candidate = other.operation
        prefix, _, last = candidate.path.rpartition("/")
        if candidate.method != "GET" or not last.startswith("{") or "{" in prefix:
            continue
        of_resource = candidate.verb == "get" and candidate.resource is not None
        if (of_resource and candidate.resource is operation.resource) or prefix == operation.path:
            return prefix
    return None


def header_names(operations: Sequence[BoundOperation]) -> tuple[str, ...]:
    """Return the header fields that operations take as parameters."""
    found = {p.header for bound in operations for p in bound.signature.of(Source.HEADER) if p.header}
    return tuple(sorted(found))


Documents = Mapping[str, Document]
Pages = Mapping[str, Page]
