"""The input side of a connection: bytes to exchanges, by llhttp, with every bound of the head and the framing kept."""

from __future__ import annotations

from collections import deque
from typing import Any

import httptools

from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.faults import fault_of
from mainstay.inbound.http.problems import HeadersTooLarge, RequestMalformed, TargetTooLong, VersionNotSupported
from mainstay.inbound.http.request import add_field
from mainstay.model.problem import Problem

SLICE = 16 << 10
"""Input is parsed in slices of this size, which bounds how far ahead of the answers it gets."""

_OVERHEAD = 64 << 10  # of chunk framing and trailers, beside eight bytes for each of the body


class _Nowhere(dict[bytes, bytes]):
    """Where trailer fields go: nothing here reads them."""

    def __setitem__(self, name: bytes, value: bytes) -> None: ...


class Intake:
    """Parses what a client sends. ``ready`` holds the exchanges to be answered, in order.

    ``incoming`` is the last of them while its body arrives; ``partial`` says that a head has begun to arrive; ``fault``
    is what is wrong with the input behind them all; where it is ``closed`` no input is taken any more. ``simple`` says
    that the last input ended a request and began nothing else.
    """

    __slots__ = (
        "_address",
        "_door",
        "_ended",
        "_fed",
        "_headers",
        "_max_bytes",
        "_max_fields",
        "_max_target",
        "_parser",
        "_peer",
        "_receive",
        "_url",
        "closed",
        "fault",
        "incoming",
        "partial",
        "ready",
        "simple",
    )

    def __init__(self, door: Door, address: str) -> None:
        self._door = door
        self._receive = door.receive
        self._max_bytes = door.options.max_header_bytes
        self._max_fields = door.options.max_headers
        self._max_target = door.options.max_target_bytes
        self._address = address
        self._peer = door.peer_of(address)
        self._url: bytes | None = None
        self._headers: dict[bytes, bytes] = {}
        self._fed = 0
        self._ended = False
        self.ready: deque[Exchange] = deque()
        self.incoming: Exchange | None = None
        self.partial = False
        self.fault: Exchange | None = None
        self.closed = False
        self.simple = False
        self._parser: Any = httptools.HttpRequestParser(self)

    def parse(self, data: bytes) -> None:
        """Take input. It never raises: what is wrong with it becomes ``fault``, or the end of ``incoming``."""
        self.simple = False
        if self.closed:
            return
        self._fed += len(data)
        self._ended = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._break(fault_of(error, b"" if self._ended else data))
        if self._ended and self._url is None and self.incoming is None:
            self.partial = False
            self.simple = bool(self.ready) and self.fault is None
        else:
            self._bound()

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request target: a request begins."""
        if self._url is None:
            self._url = url
            self._headers = {}
        else:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer field."""
        name = name.lower()
        headers = self._headers
        if name in headers:
            add_field(headers, name, value)
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        """Take the end of a head: it becomes an exchange."""
        url, headers, parser = self._url, self._headers, self._parser
        self._url = None
        if self._fed > self._max_bytes or len(headers) > self._max_fields:
            self._check_size(headers)
        self._fed = 0
        exchange = self._receive(parser.get_method(), url or b"", headers, self._address, self._peer)
        if b"connection" in headers or b"host" not in headers or not parser.should_keep_alive():
            self._check_version(exchange, parser.should_keep_alive())
        self.ready.append(exchange)
        if exchange.inflow is not None:
            self.incoming = exchange
            self._headers = _Nowhere()
            self.closed |= exchange.closing and exchange.answer is not None

    def _check_size(self, headers: dict[bytes, bytes]) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in headers.items())
        if size > self._max_bytes or len(headers) > self._max_fields:
            raise HeadersTooLarge(f"at most {self._max_fields} header fields of {self._max_bytes} bytes together")

    def _check_version(self, exchange: Exchange, keep: bool) -> None:
        version = self._parser.get_http_version()
        problem: Problem | None = None
        if version == "1.0":
            exchange.http10 = True
            if b"transfer-encoding" in exchange.headers:
                problem = RequestMalformed("HTTP/1.0 has no Transfer-Encoding")
        elif version != "1.1":
            problem = VersionNotSupported()
        elif b"host" not in exchange.headers:
            problem = RequestMalformed("HTTP/1.1 needs a Host header")
        if problem is not None:
            exchange.answer = self._door.refuse(exchange, problem)
        exchange.closing |= problem is not None or not keep

    def on_body(self, data: bytes) -> None:
        """Take a part of a body."""
        incoming = self.incoming
        if incoming is not None and incoming.inflow is not None:
            incoming.inflow.feed(data)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._ended = True
        self._fed = 0
        incoming = self.incoming
        if incoming is not None and not self._parser.should_upgrade():
            self.incoming = None
            if incoming.inflow is not None:
                incoming.inflow.finish()

    def _go_on_after_upgrade(self, rest: bytes) -> None:
        """Ignore an Upgrade: the request is served as it is, in HTTP/1.1 (RFC 9110, section 7.8).

        The parser takes what follows the head for the other protocol. A body that follows is parsed by a parser of its
        own, and the connection ends with it.
        """
        incoming = self.incoming
        if incoming is not None:
            incoming.closing = True
            length = incoming.headers.get(b"content-length")
            framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: " + length
            self._parser = httptools.HttpRequestParser(_BodyOnly(self))
            rest = b"POST / HTTP/1.1\r\nConnection: close\r\n" + framing + b"\r\n\r\n" + rest
        elif self.ready and self.ready[-1].method == b"CONNECT":
            self.ready[-1].closing = self.closed = True
            return
        if rest:
            self.parse(rest)

    def _break(self, problem: Problem) -> None:
        """End the input with a problem: of the request whose body arrives, else of one behind those that are ready."""
        self.closed = True
        incoming, self.incoming = self.incoming, None
        if incoming is not None and incoming.inflow is not None:
            incoming.closing = True
            incoming.inflow.fail(problem)
        elif not self.ready or not self.ready[-1].closing:
            self.refuse(problem)

    def refuse(self, problem: Problem) -> None:
        """Take no more input, and answer a head that never became an exchange with a problem."""
        self.closed = True
        self.partial = False
        method = b"-" if self._url is None else self._parser.get_method()
        self.fault = self._door.broken(method, self._url or b"", self._headers, self._peer, problem)
        self._url = None

    def _bound(self) -> None:
        """Refuse a head that grows over its bounds before it is complete, and a body that is over its own."""
        if self._url is None and (self._ended or self.incoming is not None):
            self.partial = False
            if self.incoming is not None:
                self._bound_body(self.incoming)
            return
        self.partial = True
        if self._url is not None and len(self._url) > self._max_target:
            self._break(TargetTooLong(f"path and query are longer than {self._max_target} bytes"))
        elif self._fed > self._max_bytes + self._max_target + SLICE:
            self._break(HeadersTooLarge(f"the header fields are larger than {self._max_bytes} bytes"))

    def _bound_body(self, incoming: Exchange) -> None:
        """End a body that is over its bound, or whose framing outweighs it."""
        inflow = incoming.inflow
        if inflow is None:
            return
        if not inflow.over and self._fed - inflow.size > _OVERHEAD + 8 * inflow.size:
            inflow.fail(RequestMalformed("the chunks of the body carry next to nothing"))
        if inflow.over:
            self.closed = incoming.closing = True

    def end(self, problem: Problem) -> None:
        """The client sends no more: a body that has not ended will not end."""
        self.closed = True
        incoming, self.incoming = self.incoming, None
        if incoming is not None and incoming.inflow is not None:
            incoming.closing = True
            incoming.inflow.fail(problem)


class _BodyOnly:
    """Passes the events of a body on, and none of its head."""

    __slots__ = ("on_body", "on_message_complete")

    def __init__(self, intake: Intake) -> None:
        self.on_body = intake.on_body
        self.on_message_complete = intake.on_message_complete

    def on_headers_complete(self) -> None: ...
