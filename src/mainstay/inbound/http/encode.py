"""A reply or a problem to status, header lines and bytes. What can be known at start-up is encoded at start-up."""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import quote, urlencode

from mainstay.inbound.http.conditional import entity_tag, none_match, representation
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.problems import document, status_of
from mainstay.inbound.http.ratelimit import RateLimitFields
from mainstay.kernel.call import Call, Reply
from mainstay.model.inputs import File
from mainstay.model.operation import OperationKind
from mainstay.model.problem import PreconditionFailed, Problem

GUARD = b"X-Content-Type-Options: nosniff\r\n"
_NO_STORE = b"Cache-Control: no-store\r\n"
_REVALIDATE = b"Cache-Control: no-cache\r\n"
_REVALIDATE_OWN = b"Cache-Control: private, no-cache\r\n"
_PROBLEM = b"Content-Type: application/problem+json\r\n" + GUARD + _NO_STORE
_PATH_SAFE = "/%:@!$&'()*+,;=-._~"

BODYLESS = frozenset({204, 304})


def line(name: str, value: str) -> bytes:
    """Return one header line. Raises ``ValueError`` where the value would end it early."""
    encoded = f"{name}: {value}".encode("latin-1")
    if b"\r" in encoded or b"\n" in encoded or b"\0" in encoded:
        raise ValueError(f"header {name}: its value has a line break")
    return encoded + b"\r\n"


class Answers:
    """What the answers of a door have in common."""

    def __init__(self, problem_base: str) -> None:
        self._base = problem_base
        self._limits = RateLimitFields()

    def trailer(self, exchange: Exchange) -> bytes:
        """Return the lines that every answer ends with: request id, limits, CORS."""
        parts = [b"X-Request-ID: ", exchange.request_id.encode(), b"\r\n", exchange.common]
        if exchange.call is not None and exchange.call.verdicts:
            for name, value in self._limits(exchange.call.verdicts):
                parts += (name, b": ", value, b"\r\n")
        return b"".join(parts)

    def problem(self, exchange: Exchange, problem: Problem) -> Answer:
        """Return the answer of a problem."""
        status = status_of(problem)
        parts = [_PROBLEM]
        given = problem.headers or {}
        parts.extend(line(name, value) for name, value in given.items())
        if status == 401 and not any(name.lower() == "www-authenticate" for name in given):
            parts.append(b"WWW-Authenticate: Bearer\r\n")
        if problem.retry_after is not None:
            parts.append(b"Retry-After: %d\r\n" % max(0, math.ceil(problem.retry_after)))
        parts.append(self.trailer(exchange))
        return Answer(status, b"".join(parts), document(problem, status, self._base))


class ReplyEncoder:
    """Encodes the replies of one operation.

    An answer with a validator may be kept by a cache that asks again each time (``no-cache``, and ``private`` where the
    call had credentials); any other is ``no-store``.
    """

    def __init__(self, answers: Answers, media: str, location: str | None) -> None:
        self._answers = answers
        self._media = media
        self._location = location  # the path that a created resource's id is appended to; None: the request's own
        self._type = b"Content-Type: " + media.encode() + b"\r\n" + GUARD
        self._plain = self._type + _NO_STORE + b"X-Request-ID: "
        self._shown = representation("", media)

    def __call__(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        """Return the answer. Raises ``PreconditionFailed`` where If-Match on a query does not hold."""
        if (
            reply.version is None
            and reply.next is None
            and reply.location is None
            and reply.file is None
            and not reply.headers
            and not reply.replayed
            and not call.verdicts
            and reply.body
        ):
            return Answer(
                reply.status,
                b"".join((self._plain, call.request_id.encode(), b"\r\n", exchange.common)),
                reply.body,
                reply.stream,
            )
        return self._full(exchange, call, reply)

    def _full(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        status, parts = reply.status, []
        tag = None
        if reply.version is not None and not reply.secret:
            tag = entity_tag(reply.version, representation(reply.view, self._media) if reply.view else self._shown)
            if _not_modified(exchange, call, reply.version, tag):
                status = 304
            parts.append(f"ETag: {tag}\r\n".encode())
        if status not in BODYLESS:
            parts.append(self._type if reply.file is None else _file_lines(reply.file))
        parts.append(_caching(call, reply, tag))
        if reply.location is not None and status in (201, 202):
            prefix = self._location or exchange.path.decode()
            parts.append(line("Location", f"{exchange.root}{prefix}/{quote(reply.location, safe='')}"))
        if reply.next is not None:
            parts.append(line("Link", _next_link(exchange, call, reply.next)))
        if reply.replayed:
            parts.append(b"Idempotency-Replayed: true\r\n")
        parts.extend(line(name, value) for name, value in reply.headers)
        parts.append(self._answers.trailer(exchange))
        head = b"".join(parts)
        return Answer(status, head) if status in BODYLESS else _with_body(status, head, reply)


def _with_body(status: int, head: bytes, reply: Reply) -> Answer:
    file = reply.file
    if file is None:
        return Answer(status, head, reply.body, reply.stream)
    if isinstance(file.content, Path):
        return Answer(status, head, path=file.content)
    return Answer(status, head, bytes(file.content))


def _not_modified(exchange: Exchange, call: Call, version: int, tag: str) -> bool:
    if call.operation.operation.kind is not OperationKind.QUERY:
        return False
    if call.if_match and version not in call.if_match:
        raise PreconditionFailed("it is not in the version that If-Match names")
    field = exchange.headers.get(b"if-none-match")
    return field is not None and not none_match(field.decode("latin-1"), tag)


def _caching(call: Call, reply: Reply, tag: str | None) -> bytes:
    if any(name.lower() == "cache-control" for name, _ in reply.headers):
        return b""
    query = call.operation.operation.kind is OperationKind.QUERY
    if tag is None or not query:
        return _NO_STORE
    return _REVALIDATE if call.credentials is None else _REVALIDATE_OWN


def _next_link(exchange: Exchange, call: Call, cursor: str) -> str:
    pairs = [(name, value) for name, value in call.query if name != "cursor"]
    query = urlencode([*pairs, ("cursor", cursor)])
    return f'<{exchange.root}{quote(exchange.path, safe=_PATH_SAFE)}?{query}>; rel="next"'


def _file_lines(file: File) -> bytes:
    """Say what a file is, and under which name to save it (RFC 6266), in a form for any character (RFC 8187)."""
    head = line("Content-Type", file.media_type) + GUARD
    if file.filename is None:
        return head
    name = file.filename
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return head + line("Content-Disposition", f'attachment; filename="{plain}"{extended}')
