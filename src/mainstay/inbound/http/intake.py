"""The input side of a connection: bytes to exchanges, one at a time, with every bound of head and framing kept.

A head is found by its end, its request line is read here, and llhttp takes its fields apart. So the parser is never
given more than one head, and where the next one begins is known here, of every request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

import httptools

from mainstay.inbound.http.chunks import Chunks
from mainstay.inbound.http.clients import Receive, received_from
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.faults import fault_of, unexpected
from mainstay.inbound.http.framing import check_coding, has_body, refuse_tabs
from mainstay.inbound.http.lines import HEAD_END, METHODS, NO_LINE, Head, Line, fields_too_large, is_host, read_line
from mainstay.inbound.http.persistence import persists
from mainstay.inbound.http.problems import HeaderMalformed, RequestMalformed
from mainstay.inbound.http.request import add_field
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem

SLICE = 16 << 10
"""Of a body at most so much is taken at once, so that a reader who is behind is noticed in time."""

_TAB, _HASH = b"\t#"
_NO_HOST = b"\n"  # no field is this, an empty one neither


class Intake:
    """Parses what a client sends. ``ready`` holds what is to be answered: never more than one request is read ahead.

    ``incoming`` is that request, or the one in flight, while its body arrives; ``partial`` says that a head has begun
    to arrive; ``fault`` is what is wrong with the input behind them; where it is ``closed`` no input is taken any more.
    ``client`` is as whom the calls of the connection begin, where its certificate says that.
    """

    __slots__ = (
        "_address",
        "_authority",
        "_chunks",
        "_door",
        "_feed",
        "_head",
        "_headers",
        "_host",
        "_http10",
        "_left",
        "_max_bytes",
        "_max_fields",
        "_max_target",
        "_method",
        "_much",
        "_odd",
        "_peer",
        "_raw",
        "_receive",
        "_skipping",
        "_target",
        "closed",
        "fault",
        "incoming",
        "partial",
        "ready",
    )

    def __init__(self, door: Door, address: str, client: Principal | None = None) -> None:
        self._door = door
        self._receive: Receive = door.receive if client is None else received_from(client, door.receive)
        self._max_bytes = door.options.max_header_bytes
        self._max_fields = door.options.max_headers
        self._max_target = door.options.max_target_bytes
        self._address = address
        self._peer = door.peer_of(address)
        self._much = min(self._max_bytes, 4 * self._max_fields)  # a smaller head is within both bounds
        self._set_line(NO_LINE)
        self._host = _NO_HOST  # the last that was found to be one
        self._headers: dict[bytes, bytes] = {}
        self._head: Head | None = None
        self._left = 0  # of a body whose length is known
        self._chunks: Chunks | None = None
        self._skipping = False  # the parser waits for that body as well
        self.ready: deque[Exchange] = deque()
        self.incoming: Exchange | None = None
        self.partial = False
        self.fault: Exchange | None = None
        self.closed = False
        self._feed = self._new_parser()

    def _new_parser(self) -> Callable[[bytes], None]:
        parser: Any = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # which request is the last is decided here
        feed: Callable[[bytes], None] = parser.feed_data
        return feed

    def _set_line(self, line: Line) -> None:
        """Keep a request line: clients on one connection tend to repeat themselves."""
        self._raw, self._method, self._target, self._http10, self._authority = line
        self._odd = self._http10 or self._authority is not None

    @property
    def untouched(self) -> bool:
        """Whether no request has come yet."""
        return self._raw is NO_LINE.raw

    def parse(self, data: bytes, at: int = 0) -> int:
        """Take input from ``at``, at most to the end of one request. Returns the position behind what was taken.

        It never raises: what is wrong with the input becomes ``fault``, or the end of ``incoming``.
        """
        try:
            if self.incoming is None and not self.closed:
                end = data.find(HEAD_END, at) + 4
                if end > 3 and self._head is None:
                    self._read(data if not at and end == len(data) else data[at:end])
                    at = end
                else:
                    at = self._take_head(data, at)
            if self.incoming is not None and not self.closed:
                at = self._take_body(self.incoming, data, at)
        except Problem as problem:
            self._break(problem)
        except Exception as error:
            self._break(unexpected(error))
        return len(data) if self.closed else at

    def _take_head(self, data: bytes, at: int) -> int:
        """Take a part of a head that comes in several."""
        if self._head is None:
            self.partial = True
            self._head = Head(self._max_target, self._max_bytes, self._max_fields)
        at = self._head.take(data, at)
        whole = self._head.whole
        if whole is not None:
            self._head = None
            self.partial = False
            self._read(whole)
        return at

    def _read(self, head: bytes) -> None:
        """Read one whole head: it becomes an exchange. Raises the Problem of one that cannot be read."""
        headers: dict[bytes, bytes] = {}
        self._headers = headers
        if not head.startswith(self._raw):
            head = self._read_line(head)
        if len(head) > self._much:
            self._check_size(head)
        upgrades = False
        try:
            self._feed(head)
        except httptools.HttpParserUpgrade:
            upgrades = True  # which is ignored: the request is served as it is (RFC 9110, section 7.8)
        except httptools.HttpParserError as error:
            self._fail(error)
        if _TAB in head:
            refuse_tabs(head)
        if self._odd and self._authority is not None and is_host(headers.get(b"host", b"")):
            headers[b"host"] = self._authority  # it stands for the field (RFC 9112, section 3.2.2)
        exchange = self._receive(self._method, self._target, headers, self._address, self._peer)
        if (
            headers.get(b"host") != self._host
            or (b"connection" in headers and headers[b"connection"] != b"keep-alive")
            or self._odd
        ):
            self._check(exchange)
        self.ready.append(exchange)
        if exchange.inflow is not None:
            self._expect(exchange, upgrades)
        elif exchange.closing or b"content-length" in headers or b"transfer-encoding" in headers:
            self._let_go(exchange)

    def _let_go(self, exchange: Exchange) -> None:
        """A request has been read that has no body, as far as the door could tell."""
        if exchange.closing or has_body(exchange.headers):
            self.closed = exchange.closing = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field from the parser."""
        name = name.lower()
        headers = self._headers
        if name in headers:
            add_field(headers, name, value)
        else:
            headers[name] = value

    def _fail(self, error: httptools.HttpParserError) -> NoReturn:
        """Raise the Problem of what the parser refuses."""
        if str(error).startswith("Request has invalid `Transfer-Encoding`"):  # at the end of the head
            check_coding(self._headers)
        problem = fault_of(error)
        raise problem from problem.__cause__

    def _read_line(self, head: bytes) -> bytes:
        """Read the request line of a head, and return the head without what may stand before it."""
        parts = head.split(b" ", 2)
        if (
            len(parts) == 3
            and parts[2].startswith(b"HTTP/1.1\r\n")
            and parts[0] in METHODS
            and parts[1].startswith(b"/")
            and _HASH not in parts[1]
            and len(parts[1]) <= self._max_target
        ):  # the usual one; the parser looks at each of its bytes
            self._method, self._target, rest = parts
            self._raw = head[: 10 - len(rest)]
            self._odd = False
            return head
        self._set_line(NO_LINE)
        head = head[2:] if head.startswith(b"\r\n") else head
        self._set_line(read_line(head, self._max_target))
        return head

    def _check_size(self, head: bytes) -> None:
        size = len(head) - len(self._raw) - 2
        if size > self._max_bytes or head.count(b"\r\n") - 2 > self._max_fields:
            Head(self._max_target, self._max_bytes, self._max_fields).check(head)
            raise fields_too_large(self._max_fields, self._max_bytes)

    def _check(self, exchange: Exchange) -> None:
        """Look at what a usual head need not be looked at for: version, host, persistence."""
        headers = exchange.headers
        host = headers.get(b"host")
        if host is not None and host.endswith((b" ", b"\t")):
            host = headers[b"host"] = host.rstrip(b" \t")
        problem: Problem | None = None
        exchange.http10 = self._odd and self._http10
        if exchange.http10:
            exchange.expects = False  # there is no 100 in HTTP/1.0
            if b"transfer-encoding" in headers:
                problem = RequestMalformed("HTTP/1.0 has no Transfer-Encoding")
        elif host is None:
            problem = RequestMalformed("HTTP/1.1 needs a Host header")
        if host is not None and host != self._host:
            if is_host(host):
                self._host = host
            else:
                problem = HeaderMalformed("Host: expected a host with an optional port")
        if problem is not None:
            exchange.answer = self._door.refuse(exchange, problem)
        exchange.closing |= problem is not None or not persists(headers, http10=exchange.http10)

    def _expect(self, exchange: Exchange, upgrades: bool) -> None:
        """Prepare for the body of a request; of one that ends the connection unheard, it is not looked at."""
        if exchange.closing and exchange.answer is not None:
            self.closed = True
            return
        inflow, headers = exchange.inflow, exchange.headers
        assert inflow is not None
        self.incoming = exchange
        if b"transfer-encoding" in headers:
            self._chunks = Chunks(inflow.feed, max_fields=self._max_fields, max_bytes=self._max_bytes)
            self._feed = self._new_parser()  # the old one would take the chunks apart as well
        else:
            self._left = int(headers[b"content-length"])
            self._skipping = not upgrades

    def _take_body(self, incoming: Exchange, data: bytes, at: int) -> int:
        inflow = incoming.inflow
        assert inflow is not None
        chunks = self._chunks
        if chunks is not None:
            at = chunks.take(data, at, min(len(data), at + SLICE))
            ended = chunks.ended
        else:
            part = data[at : at + (self._left if self._left < SLICE else SLICE)]
            if self._skipping:
                self._feed(part)
            inflow.feed(part)
            at += len(part)
            self._left -= len(part)
            ended = not self._left
        if inflow.over:
            self.closed = incoming.closing = True
        if ended:
            self.incoming = self._chunks = None
            inflow.finish()
            self.closed |= incoming.closing
        return at

    def _break(self, problem: Problem) -> None:
        """End the input with a problem: of the request whose body arrives, else of one behind those that are ready."""
        if self.incoming is not None:
            self.end(problem)
        else:
            self.refuse(problem)

    def refuse(self, problem: Problem) -> None:
        """Take no more input, and answer a head that never became an exchange with a problem."""
        self.closed = True
        self.partial = False
        if self._head is not None:
            self._head = None
            self._headers = {}
            self._set_line(NO_LINE)
        self.fault = self._door.broken(self._method, self._target, self._headers, self._peer, problem)

    def end(self, problem: Problem) -> None:
        """The client sends no more: a body that has not ended will not end."""
        self.closed = True
        incoming, self.incoming = self.incoming, None
        if incoming is not None and incoming.inflow is not None:
            incoming.closing = True
            incoming.inflow.fail(problem)
