"""What a route leads to: an operation with its HTTP facts put together at start-up, a document, or a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

import msgspec

from mainstay.inbound.http.caching import rules_of
from mainstay.inbound.http.codings import IDENTITY
from mainstay.inbound.http.compress import Packing
from mainstay.inbound.http.encode import Answers, ReplyEncoder
from mainstay.inbound.http.formats import MSGPACK, MsgpackEncoder
from mainstay.inbound.http.lifetime import Lifetime, lifetime_of
from mainstay.inbound.http.negotiate import JSON, best
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.streaming import STREAMS, StreamEncoder
from mainstay.kernel.bound import BoundOperation
from mainstay.model.operation import OperationKind
from mainstay.model.problem import NotAcceptable
from mainstay.model.signature import Source

if TYPE_CHECKING:
    from mainstay.inbound.http.multipart import Uploads

PageContent = tuple[int, str, bytes]
"""Status, media type, body."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that are served as they are, with a strong validator. ``etag`` stands in its quotes.

    ``rooted`` makes it for a door that is mounted at a path, where it says where it is; it remembers what it made. One
    without a body is made by it at its first use, at whatever path.
    """

    body: bytes
    media_type: str
    etag: str
    headers: tuple[tuple[str, str], ...] = ()
    rooted: Callable[[str], Document] | None = None

    def at(self, root: str) -> Document:
        """Return the document as it is seen below a path ("" for none)."""
        return self.rooted(root) if self.rooted is not None and (root or not self.body) else self


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Something made anew for each request: health, readiness, metrics.

    One that says whether the service is ``ready`` is answered 503 by the door itself while it drains. A ``probe`` is
    asked by address, whatever hosts the door answers for.
    """

    make: Callable[[], PageContent | Awaitable[PageContent]]
    ready: bool = False
    probe: bool = False


class OperationTarget:
    """An operation as the door needs it, giving its answers in one media type.

    ``offers`` are all that it gives; ``giving`` returns the same target for another of them. ``prefix`` stands before
    its path: the version of the service that it is of.
    """

    __slots__ = (
        "_answers",
        "_location",
        "_others",
        "_rules",
        "accept_field",
        "accepts",
        "bound",
        "encode",
        "gives",
        "inflation",
        "keyed",
        "lifetime",
        "limit",
        "method",
        "offers",
        "precondition",
        "query",
        "spelled",
        "strict",
        "takes_body",
        "upload",
        "usual",
    )

    def __init__(
        self,
        bound: BoundOperation,
        location: str | None,
        options: HttpOptions,
        answers: Answers,
        lifetime: Lifetime | None = None,
    ) -> None:
        operation, body = bound.operation, bound.signature.body
        self.bound = bound
        self.method = operation.method
        self.query = operation.kind is OperationKind.QUERY
        self.upload: Uploads | None = None
        if body is not None and body.source is Source.UPLOAD:
            from mainstay.inbound.http.multipart import Uploads  # with its parser it is nearly a megabyte

            self.upload = Uploads(options.max_held_bytes, options.spool_folder)
        self.takes_body = not self.query and (body is not None or bool(bound.signature.of(Source.MEMBER)))
        self.accepts = bound.media.accepts or ((JSON,) if self.takes_body else ())
        if options.msgpack and JSON in self.accepts:
            self.accepts = (*self.accepts, *MSGPACK)
        self.gives = bound.media.gives
        self.offers: tuple[str, ...] = (JSON, *MSGPACK) if options.msgpack and self.gives == JSON else (self.gives,)
        if self.gives in STREAMS:
            self.offers = STREAMS
        self.keyed = operation.idempotency != "none"
        self.precondition = operation.precondition
        self.spelled = {media.encode(): media for media in self.accepts if "*" not in media}
        self.inflation = options.max_inflation
        self.limit = options.max_body_bytes if self.upload is None else options.max_upload_bytes
        self.strict = self.takes_body or self.precondition
        self.usual = frozenset({b"*/*", self.gives.encode()})
        self.accept_field = {"POST": "Accept-Post", "PATCH": "Accept-Patch"}.get(self.method, "Accept")
        self.lifetime = lifetime_of(operation) if lifetime is None else lifetime
        self._rules = None if operation.cache is None else rules_of(bound, operation.cache, options)
        self._answers = answers
        self._location = location
        self._others: dict[tuple[str, bool], OperationTarget] = {}
        self.encode = self._encoder(self.gives)

    @property
    def packing(self) -> Packing:
        """What packs the answers."""
        return self._answers.packing

    def _encoder(self, media: str, *, always: bool = False) -> ReplyEncoder:
        made = MsgpackEncoder if media in MSGPACK else StreamEncoder if media in STREAMS else ReplyEncoder
        vary = b"Vary: Accept\r\n" if len(self.offers) > 1 else b""
        return made(self._answers, media, self._location, vary=vary, rules=self._rules, always=always, reads=self.query)

    def giving(self, media: str, *, always: bool = False) -> OperationTarget:
        """Return this target with its answers in one of ``offers``; ``always`` packs them whatever their size."""
        if media == self.gives and not always:
            return self
        other = self._others.get((media, always))
        if other is None:
            other = self._others[media, always] = copy(self)
            other.gives = media
            other.encode = self._encoder(media, always=always)
        return other


def given(target: OperationTarget, accept: bytes) -> OperationTarget:
    """Return a target that gives what an Accept field wants most (empty: anything). Raises ``NotAcceptable``."""
    media = best(accept.decode("latin-1"), target.offers) if accept.strip() else target.gives
    if media is None:
        told = shown(target.offers)
        raise NotAcceptable(f"this is given as {' or '.join(told)} only", gives=told)
    return target.giving(media)


def shown(types: Sequence[str]) -> list[str]:
    """Return media types as they are told: without those that are other names of one that is told."""
    return [one for one in types if one not in MSGPACK[1:]]


def given_packed(target: OperationTarget, codings: bytes) -> OperationTarget:
    """Return a target whose answers an Accept-Encoding field takes that refuses plain bytes. Raises ``NotAcceptable``.

    One that gives a type which is never packed is given as it is.
    """
    packing = target.packing
    if not packing.fits(target.gives):
        return target
    refused = packing.refuses_all(codings)
    if refused:
        offered = ", ".join((*(one.name for one in packing.offered), IDENTITY))
        raise NotAcceptable(f"this is given in the content codings {offered}")
    return target if refused is None else target.giving(target.gives, always=True)


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
