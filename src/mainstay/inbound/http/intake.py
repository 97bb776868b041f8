"""The input side of a connection: bytes to exchanges, one at a time, with every bound of head and framing kept.

A head is found by its end, its request line is read here, and llhttp takes its fields apart. So the parser is never
given more than one head, and where the next one begins is known here, of every request.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NoReturn

import httptools

from mainstay.inbound.http.chunks import Chunks
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.faults import fault_of, unexpected
from mainstay.inbound.http.framing import check_coding, has_body, refuse_tabs
from mainstay.inbound.http.lines import HEAD_END, NO_LINE, Head, fields_too_large, is_host, read_line
from mainstay.inbound.http.persistence import persists
from mainstay.inbound.http.problems import HeaderMalformed, RequestMalformed
from mainstay.inbound.http.request import add_field
from mainstay.model.problem import Problem

SLICE = 16 << 10
"""Of a body at most so much is taken at once, so that a reader who is behind is noticed in time."""


class Intake:
    """Parses what a client sends. ``ready`` holds what is to be answered: never more than one request is read ahead.

    ``incoming`` is that request, or the one in flight, while its body arrives; ``partial`` says that a head has begun
    to arrive; ``fault`` is what is wrong with the input behind them; where it is ``closed`` no input is taken any more.
    """

    __slots__ = (
        "_address",
        "_chunks",
        "_door",
        "_head",
        "_headers",
        "_host",
        "_left",
        "_line",
        "_max_bytes",
        "_max_fields",
        "_max_target",
        "_parser",
        "_peer",
        "_receive",
        "_skipping",
        "closed",
        "fault",
        "incoming",
        "partial",
        "ready",
    )

    def __init__(self, door: Door, address: str) -> None:
        self._door = door
        self._receive = door.receive
        self._max_bytes = door.options.max_header_bytes
        self._max_fields = door.options.max_headers
        self._max_target = door.options.max_target_bytes
        self._address = address
        self._peer = door.peer_of(address)
        self._line = NO_LINE  # the last that was read: clients on one connection tend to repeat themselves
        self._host = b""  # the last that was found to be one
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
        self._parser: Any = self._new_parser()

    def _new_parser(self) -> Any:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # which request is the last is decided here
        return parser

    @property
    def untouched(self) -> bool:
        """Whether no request has come yet."""
        return self._line is NO_LINE

    def parse(self, data: bytes, at: int = 0) -> int:
        """Take input from ``at``, at most to the end of one request. Returns the position behind what was taken.

        It never raises: what is wrong with the input becomes ``fault``, or the end of ``incoming``.
        """
        try:
            if self.incoming is None and not self.closed:
                at = self._take_head(data, at)
            if self.incoming is not None and not self.closed:
                at = self._take_body(self.incoming, data, at)
        except Problem as problem:
            self._break(problem)
        except Exception as error:
            self._break(unexpected(error))
        return len(data) if self.closed else at

    def _take_head(self, data: bytes, at: int) -> int:
        if self._head is None:
            end = data.find(HEAD_END, at) + 4
            if end > 3:
                self._read(data if at == 0 and end == len(data) else data[at:end])
                return end
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
        line = self._line
        if not head.startswith(line.raw):
            head = head[2:] if head.startswith(b"\r\n") else head
            self._line = NO_LINE
            self._line = line = read_line(head, self._max_target)
        size = len(head) - len(line.raw) - 2
        if size > self._max_bytes or size > 4 * self._max_fields:
            self._check_size(head, size)
        upgrades = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            upgrades = True  # which is ignored: the request is served as it is (RFC 9110, section 7.8)
        except httptools.HttpParserError as error:
            self._fail(error)
        if b" \r\n" in head or b"\t" in head:
            self._tidy(head)
        if line.authority is not None and is_host(headers.get(b"host", b"")):
            headers[b"host"] = line.authority  # it stands for the field (RFC 9112, section 3.2.2)
        exchange = self._receive(line.method, line.target, headers, self._address, self._peer)
        if line.http10 or headers.get(b"host") != self._host or b"connection" in headers:
            self._check(exchange)
        self.ready.append(exchange)
        if exchange.inflow is not None:
            self._expect(exchange, upgrades)
        elif exchange.closing or has_body(headers):
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
        if not isinstance(error, httptools.HttpParserCallbackError) and b"transfer-encoding" in self._headers:
            check_coding(self._headers[b"transfer-encoding"])
        problem = fault_of(error)
        raise problem from problem.__cause__

    def _check_size(self, head: bytes, size: int) -> None:
        if size > self._max_bytes or head.count(b"\r\n") - 2 > self._max_fields:
            Head(self._max_target, self._max_bytes, self._max_fields).check(head)
            raise fields_too_large(self._max_fields, self._max_bytes)

    def _tidy(self, head: bytes) -> None:
        """Take away the white space around values, which is no part of them (RFC 9110, section 5.5)."""
        refuse_tabs(head)
        for name, value in self._headers.items():
            self._headers[name] = value.strip(b" \t")

    def _check(self, exchange: Exchange) -> None:
        """Look at what a usual head need not be looked at for: version, host, persistence."""
        headers = exchange.headers
        host = headers.get(b"host")
        problem: Problem | None = None
        exchange.http10 = self._line.http10
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
            self._parser = self._new_parser()  # the old one would take the chunks apart as well
        else:
            self._left = int(headers[b"content-length"])
            self._skipping = not upgrades

    def _take_body(self, incoming: Exchange, data: bytes, at: int) -> int:
        inflow = incoming.inflow
        assert inflow is not None
        end = min(len(data), at + SLICE)
        chunks = self._chunks
        if chunks is not None:
            at = chunks.take(data, at, end)
            ended = chunks.ended
        else:
            end = min(end, at + self._left)
            if end > at:
                part = data if end - at == len(data) else data[at:end]
                if self._skipping:
                    self._parser.feed_data(part)
                inflow.feed(part)
                self._left -= end - at
                at = end
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
        line, headers = (self._line, self._headers) if self._head is None else (NO_LINE, {})
        self._head = None
        self.fault = self._door.broken(line.method, line.target, headers, self._peer, problem)

    def end(self, problem: Problem) -> None:
        """The client sends no more: a body that has not ended will not end."""
        self.closed = True
        incoming, self.incoming = self.incoming, None
        if incoming is not None and incoming.inflow is not None:
            incoming.closing = True
            incoming.inflow.fail(problem)
