"""The door: a request's head to a call or an answer, an outcome to an answer. It knows no socket and no ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from mainstay.inbound.http.admission import Admission, Bounds, Held
from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.documents import Shelf
from mainstay.inbound.http.drive import Dispatch, drive
from mainstay.inbound.http.encode import Answers, ReplyEncoder
from mainstay.inbound.http.exchange import Answer, Exchange, field_of
from mainstay.inbound.http.framing import CHUNKED, body_length
from mainstay.inbound.http.head import TELLING, describe, trace
from mainstay.inbound.http.mounts import Mount, Mounts, Place
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.peer import bucket
from mainstay.inbound.http.problems import MethodNotAllowed, NoRoute, TargetTooLong, status_of
from mainstay.inbound.http.reception import Reception
from mainstay.inbound.http.request import decode_query, split_target
from mainstay.inbound.http.routes import Declared, Match, Routes
from mainstay.inbound.http.sessions import sessions_of
from mainstay.inbound.http.targets import (
    Document,
    Documents,
    DocumentTarget,
    Nothing,
    OperationTarget,
    Page,
    Pages,
    PageTarget,
    Target,
    header_names,
)
from mainstay.inbound.http.versions import Missing, targets_of
from mainstay.inbound.http.visits import Visit
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call, Reply
from mainstay.model.principal import Principal
from mainstay.model.problem import Internal, Problem, Unavailable
from mainstay.model.versions import Version
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.observer import CallEnded, Notice, Observer

_NONE: Any = MappingProxyType({})


class Door:
    """Everything that is served over HTTP by one listener: operations, documents and pages.

    ``dispatch`` runs a call through the pipeline. ``draining`` is set when the service is about to stop: readiness
    pages then say 503; ``parting`` tells streams to end. Raises ``ValueError`` where two routes name the same method
    and path. ``versions`` are those of the service: its operations stand below their prefixes then.
    """

    def __init__(
        self,
        operations: Sequence[BoundOperation],
        dispatch: Dispatch,
        *,
        ids: Ids,
        clock: Clock,
        observer: Observer,
        documents: Documents = _NONE,
        pages: Pages = _NONE,
        options: HttpOptions | None = None,
        admission: Admission | None = None,
        mounts: Sequence[Mount] = (),
        versions: Sequence[Version] = (),
    ) -> None:
        self.options = options or HttpOptions()
        self.draining = False
        self._dispatch = dispatch
        self._token = ids.token
        self._monotonic = clock.monotonic
        self._observer = observer
        self.observe = observer.observe
        self._reception = Reception(self.options, header_names(operations), ids.token)
        self.mounts = Mounts(mounts)
        self._careful = self._reception.careful or bool(self.mounts)
        self._common = self._reception.common
        self._answers = Answers(self.options)
        self._sessions = self._answers.sessions = sessions_of(self.options, self._reception.cors)
        self._telling = TELLING if self._sessions is None else TELLING | {b"cookie"}
        self.parting = self._answers.parting
        self._shelf = Shelf(self._answers)
        targets = targets_of(operations, versions, self.options, self._answers)
        self._routes = _table([*targets, *_served(documents, pages)], self.options.max_target_bytes)
        self._missing = Missing(versions) if versions else None
        self._static = self._routes.static
        self._guarded = False
        self.admission = admission or Admission(Bounds(), clock=clock, observer=observer)
        self.admission.stand_before(operations, self._answers, self._guard)
        self._began = self.admission.began

    def _guard(self, guarded: bool) -> None:
        """Ask the admission about calls, or do not: while it is asked no route is taken past the question."""
        self._guarded = guarded
        self._static = {} if guarded else self._routes.static

    def over_tls(self) -> None:
        """Take every connection for one by TLS: the listener of this door speaks it."""
        self._reception.over_tls()
        self._common = self._reception.common

    def peer_of(self, address: str) -> str:
        """Return the name under which limits count a connection from this address."""
        return bucket(address)

    def receive(
        self,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        address: str,
        peer: str,
        root: str = "",
        streaming: bool = False,
        secure: bool = False,
    ) -> Exchange:
        """Take a request's head. What comes back has an answer, or a target to ``begin``.

        ``headers`` has lower-case names; ``streaming`` says that a body of unknown length follows where no header
        field says so; ``root`` is the path that the door is mounted at; ``secure`` says that the connection is by TLS,
        where not all of a listener's are (``over_tls``).
        """
        at = self._static.get(target)
        match = None if at is None else at.get(method)
        if streaming or secure or self._careful or not self._telling.isdisjoint(headers):
            exchange = self._reception.identify(method, headers, address, peer, root, secure=secure)
        else:
            exchange = Exchange(method, headers, peer, self._token(), self._common, target, root)
            if match is None and not self._guarded:
                match = self._routes.glance(method, target)
            if match is not None and not match.target.strict:
                self._aim(exchange, match)
                return exchange
        try:
            self._open(exchange, target, match, streaming)
        except Problem as problem:
            exchange.answer = self.refuse(exchange, problem)
        return exchange

    def greet(self, headers: dict[bytes, bytes], address: str, target: bytes, root: str, *, secure: bool) -> Exchange:
        """Begin an exchange that is no request, by its head. Raises ``Misdirected``."""
        peer = self.peer_of(address)
        exchange = self._reception.identify(b"GET", headers, address, peer, root, secure=secure)
        self._reception.check_host(exchange, target, None)
        return exchange

    def _aim(self, exchange: Exchange, match: Match[Target]) -> None:
        """Set the target and, where that is an operation, the call."""
        exchange.target = found = match.target
        if found.bound is not None:
            if found.lifetime is not None:
                exchange.common += found.lifetime.lines(match.arguments, exchange.root)
            exchange.call = Call(
                operation=found.bound,
                method="HEAD" if exchange.method == b"HEAD" else found.method,
                target=match.path or exchange.path.decode(),
                peer=exchange.peer,
                request_id=exchange.request_id,
                arguments=match.arguments,
                headers=partial(field_of, exchange.headers),
            )

    def _open(self, exchange: Exchange, target: bytes, match: Match[Target] | None, streaming: bool) -> None:
        """Find what a request is for, and take the facts of its call from its head."""
        if self._careful:
            self._reception.check_host(exchange, target, None if match is None else match.target)
        query = b""
        if match is None:
            match, query = self._search(exchange, target)
        else:
            exchange.path = target
        if self._guarded and self._turned_away(exchange, match.target, streaming):
            return
        self._aim(exchange, match)
        call, headers, found = exchange.call, exchange.headers, match.target
        if call is None or not isinstance(found, OperationTarget):
            if isinstance(found, Visit):
                found.prepare(streaming)
            else:
                self._length(exchange, streaming)
            return
        if b"traceparent" in headers:
            call.traceparent = trace(exchange)
        if query:
            call.query = decode_query(query)
        if self._sessions is not None and b"cookie" in headers and b"authorization" not in headers:
            self._sessions.present(exchange, call, changes=not found.query)
        length = body_length(exchange)
        describe(exchange, found, call, CHUNKED if streaming and length is None else length)

    def operation_of(self, method: bytes, target: bytes) -> BoundOperation | None:
        """Return the operation that a method calls at a target; None where it gets something else, or nothing."""
        try:
            match = self._routes.find(method, split_target(target)[0])
        except Problem:
            return None
        return None if match is None else match.target.bound

    @property
    def common(self) -> bytes:
        """The lines that the answer to a request carries which tells nothing of its caller."""
        return self._common

    def new_id(self) -> bytes:
        """Return the id of a request that came without one."""
        return self._token().encode()

    def _turned_away(self, exchange: Exchange, target: Target, streaming: bool) -> bool:
        """Turn a call away where it cannot be taken on now. Pages and documents are not asked about."""
        if target.bound is None or self.admission.admits(target.bound):
            return False
        exchange.target = self.admission.turn_away(exchange, target.bound)
        self._length(exchange, streaming)
        return True

    def _search(self, exchange: Exchange, target: bytes) -> tuple[Match[Any], bytes]:
        """Find the target of a request, or say why there is none."""
        if len(target) > self.options.max_target_bytes:
            exchange.closing = True
            raise TargetTooLong(f"path and query are longer than {self.options.max_target_bytes} bytes")
        if target == b"*" and exchange.method == b"OPTIONS":
            exchange.path = target
            exchange.answer = self._options(exchange, self._routes.methods())
            return _NOTHING, b""
        exchange.path, query = split_target(target)
        match = self._routes.find(exchange.method, exchange.path)
        if match is not None:
            return match, query
        allowed = self._routes.allowed(exchange.path)
        if self.mounts and not (allowed and exchange.method == b"OPTIONS"):
            place = self.mounts.find(exchange.path)
            if place is not None:
                return self._visit(exchange, place, query), query
        if not allowed:
            missing = self._missing
            raise NoRoute if missing is None else missing.problem(exchange.path, exchange.root, self._routes)
        if exchange.method != b"OPTIONS":
            raise MethodNotAllowed(f"this path takes {', '.join(allowed)}", headers={"Allow": ", ".join(allowed)})
        exchange.answer = self._options(exchange, allowed)
        return _NOTHING, b""

    def _visit(self, exchange: Exchange, place: Place, query: bytes) -> Match[Any]:
        """Return the target of a request that a mounted application answers."""
        bound = place.mount.bound
        if bound.running >= self.admission.most or (self._guarded and not self.admission.admits(bound)):
            return Match(self.admission.turn_away(exchange, bound), {}, "")
        lines = self._reception.mounted(exchange)
        return Match(Visit(place, query, exchange, self._answers, lines), {}, "")

    def _options(self, exchange: Exchange, allowed: tuple[str, ...]) -> Answer:
        allow = ", ".join(allowed).encode()
        parts = [b"Allow: ", allow, b"\r\n", self._answers.trailer(exchange)]
        origin = exchange.headers.get(b"origin")
        cors = self._reception.cors
        if cors is not None and origin is not None and b"access-control-request-method" in exchange.headers:
            private = exchange.headers.get(b"access-control-request-private-network") == b"true"
            parts.append(cors.preflight(origin, allow, private=private))
        return Answer(204, b"".join(parts))

    def _length(self, exchange: Exchange, streaming: bool) -> None:
        """Prepare to let go of a body that nobody asked for."""
        length = body_length(exchange)
        if length is not None or streaming:
            exchange.inflow = Inflow(self.options.max_body_bytes, keep=False)
            exchange.closing |= length is not None and length > self.options.max_body_bytes

    def refuse(self, exchange: Exchange, problem: Problem) -> Answer:
        """Return the answer of a request that got no call, and tell the observer."""
        call = exchange.call
        bound = None if call is None else call.operation
        self._observer.observe(
            CallEnded(
                "-" if bound is None else bound.name,
                "rest",
                exchange.method.decode("latin-1"),
                exchange.path.decode("latin-1"),
                status_of(problem),
                problem.kind,
                problem.code,
                0.0,
                Principal.anonymous,
                exchange.peer,
                exchange.request_id,
                trace(exchange) if call is None else call.traceparent,
                False,
                0,
                None,
            )
        )
        if exchange.inflow is None:
            try:
                self._length(exchange, False)
            except Problem:
                exchange.closing = True
        else:
            exchange.inflow.drop()
        return self._answers.problem(exchange, problem)

    def broken(
        self,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        peer: str,
        problem: Problem,
        secure: bool = False,
    ) -> Exchange:
        """Return the exchange of a request whose head cannot be read, with its answer."""
        exchange = self._reception.identify(method, headers, "", peer, "", secure=secure)
        exchange.path = target.partition(b"?")[0][:256]
        exchange.closing = True
        if problem.__cause__ is not None:
            exchange.answer = self.failed(exchange, problem.__cause__)
        else:
            exchange.answer = self.refuse(exchange, problem)
        return exchange

    def begin(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> Any:
        """Run what was asked for. Returns its result, or the Task that will have it: either is for ``finish``."""
        call = exchange.call
        if call is not None:
            return drive(self._dispatch, call, self._monotonic(), loop, self._began)
        target = exchange.target
        if isinstance(target, Held | Visit):
            return target.begin(loop)
        if isinstance(target, DocumentTarget):
            return target.document
        page: Page = target.page
        if page.ready and self.draining:
            return Unavailable("the service is stopping", retry_after=1)
        made = page.make()
        return loop.create_task(_awaited(made)) if isinstance(made, Awaitable) else made

    def finish(self, exchange: Exchange, result: Any) -> Answer:
        """Return the answer of what ``begin`` returned."""
        try:
            if type(result) is Reply:
                encoder: ReplyEncoder = exchange.target.encode
                return encoder(exchange, exchange.call, result)  # type: ignore[arg-type]  # a reply is of a call
            if isinstance(result, Problem):
                return self._answers.problem(exchange, result)
            if isinstance(result, Answer):
                return result
            if isinstance(result, Document):
                return self._shelf.document(exchange, result)
            return self._shelf.page(exchange, *result)
        except Problem as problem:
            return self._answers.problem(exchange, problem)
        except Exception as error:
            return self.failed(exchange, error)

    def failed(self, exchange: Exchange, error: BaseException) -> Answer:
        """Return the answer of an exchange that broke outside of the pipeline, and tell the observer why."""
        facts = {"request_id": exchange.request_id, "path": exchange.path.decode("latin-1")}
        self._observer.observe(Notice("error", "answer_failed", "an answer could not be made", facts, error))
        return self._answers.problem(exchange, Internal(request_id=exchange.request_id))


_NOTHING: Match[Any] = Match(Nothing(), {}, "")


async def _awaited(made: Awaitable[Any]) -> Any:
    return await made


def _table(declared: Sequence[Declared[Target]], longest: int) -> Routes[Target]:
    routes = Routes(declared, longest)
    clashes = routes.conflicts()
    if clashes:
        said = "; ".join(f"{b.method} {b.path} is the same as {a.method} {a.path}" for a, b in clashes)
        raise ValueError(f"http routes: {said}")
    return routes


def _served(documents: Documents, pages: Pages) -> list[Declared[Target]]:
    routes: list[Declared[Target]] = []
    routes.extend(Declared("GET", path, DocumentTarget(document)) for path, document in documents.items())
    routes.extend(Declared("GET", path, PageTarget(page)) for path, page in pages.items())
    return routes
