"""A reply or a problem to status, header lines and bytes. What can be known at start-up is encoded at start-up."""

from __future__ import annotations

import math
import sys
from urllib.parse import quote, quote_plus

from mainstay.inbound.http.caching import CacheRules
from mainstay.inbound.http.codings import Wanted
from mainstay.inbound.http.compress import VARY, Packing, may_pack
from mainstay.inbound.http.conditional import (
    coded,
    content_tag,
    entity_tag,
    known_tag,
    modified_since,
    representation,
)
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.fields import line
from mainstay.inbound.http.files import file_answer
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.parting import Parting
from mainstay.inbound.http.problems import document, status_of
from mainstay.inbound.http.ratelimit import RateLimitFields
from mainstay.inbound.http.security import viewed, without
from mainstay.inbound.http.sessions import Sessions
from mainstay.kernel.call import Call, Reply
from mainstay.model.inputs import File
from mainstay.model.operation import OperationKind
from mainstay.model.problem import PreconditionFailed, Problem

_NO_STORE = b"Cache-Control: no-store\r\n"
_REVALIDATE = b"Cache-Control: no-cache\r\n"
_REVALIDATE_OWN = b"Cache-Control: private, no-cache\r\n"
_PROBLEM = b"Content-Type: application/problem+json\r\n"
_VALIDATING = frozenset({b"if-none-match", b"if-modified-since"})
_PATH_SAFE = "/%:@!$&'()*+,;=-._~"

BODYLESS = frozenset({204, 304})


class Answers:
    """What the answers of a door have in common."""

    def __init__(self, options: HttpOptions) -> None:
        self.options = options
        self.parting = Parting()
        self.packing = Packing(options)
        self.sessions: Sessions | None = None  # where browsers keep sessions
        self._base = options.problem_base
        self._limits = RateLimitFields()

    def trailer(self, exchange: Exchange, *, limits: bool = True) -> bytes:
        """Return the lines that every answer ends with: request id, CORS, and the caller's ``limits``."""
        parts = [b"X-Request-ID: ", exchange.request_id.encode(), b"\r\n", exchange.common]
        if limits and exchange.call is not None and exchange.call.verdicts:
            for name, value in self._limits(exchange.call.verdicts):
                parts += (name, b": ", value, b"\r\n")
        return b"".join(parts)

    def problem(self, exchange: Exchange, problem: Problem) -> Answer:
        """Return the answer of a problem."""
        status = status_of(problem)
        given = problem.headers or {}
        # A protocol that has errors of its own form has them in a type of its own as well (RFC 6749, section 5.2).
        parts = [_NO_STORE] if "Content-Type" in given else [_PROBLEM, _NO_STORE]
        if given:
            exchange.common = without(exchange.common, given)
            parts.extend(line(name, value) for name, value in given.items())
        if status == 401 and not any(name.lower() == "www-authenticate" for name in given):
            parts.append(b"WWW-Authenticate: Bearer\r\n")
        if problem.retry_after is not None:
            parts.append(b"Retry-After: %d\r\n" % max(0, math.ceil(problem.retry_after)))
        parts.append(self.trailer(exchange))
        return Answer(status, b"".join(parts), document(problem, status, self._base))


class ReplyEncoder:
    """Encodes the replies of one operation in one media type.

    An answer with a validator may be kept by a cache that asks again each time (``no-cache``, and ``private`` where the
    call had credentials), unless the operation says more (``rules``); any other is ``no-store``. ``vary`` are the
    header lines that say what else the answer depends on; ``always`` packs whatever the size; ``reads`` says that the
    operation is a query.
    """

    def __init__(
        self,
        answers: Answers,
        media: str,
        location: str | None,
        *,
        vary: bytes = b"",
        rules: CacheRules | None = None,
        always: bool = False,
        reads: bool = False,
    ) -> None:
        self._answers = answers
        self._media = media
        self._location = location  # the path that a created resource's id is appended to; None: the request's own
        self._packing = answers.packing
        self._packs = self._packing.fits(media)
        self._always = always
        self._least = 0 if always else self._packing.least
        self._type = b"Content-Type: " + media.encode() + b"\r\n" + vary
        self._plain = self._type + _NO_STORE + b"X-Request-ID: "
        self._shown = representation("", media)
        self._row = f'-{self._shown}"\r\n'.encode() + self._type
        self._reads = reads
        self._rules = rules
        self._large = self._type + VARY + _NO_STORE + b"X-Request-ID: "
        # Bodies below the first size need no look at what the client takes, nor at rules; those below the second need
        # none at rules.
        self._unasked = 0 if rules is not None or always else sys.maxsize
        self._simple = 0 if rules is not None else self._least if self._packs else sys.maxsize

    def __call__(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        """Return the answer. Raises ``PreconditionFailed`` where If-Match on a query does not hold."""
        if (
            reply.version is None
            and reply.next is None
            and reply.location is None
            and reply.file is None
            and not reply.headers
            and not reply.replayed
            and reply.keep is None
            and not call.verdicts
            and reply.body
        ):
            size = len(reply.body)
            if size < self._simple or (size < self._unasked and b"accept-encoding" not in exchange.headers):
                return Answer(
                    reply.status,
                    b"".join(
                        (
                            self._plain if size < self._simple else self._large,
                            call.request_id.encode(),
                            b"\r\n",
                            exchange.common,
                        )
                    ),
                    reply.body,
                    reply.stream,
                )
        elif reply.version is not None and len(reply.body) < self._simple and self._is_one_row(exchange, call, reply):
            own = _REVALIDATE if call.credentials is None else _REVALIDATE_OWN
            tag, end = b'ETag: "%d' % reply.version, b"\r\n"
            named = (tag, self._row, own, b"X-Request-ID: ", call.request_id.encode(), end, exchange.common)
            return Answer(reply.status, b"".join(named), reply.body)
        return self._full(exchange, call, reply)

    def _is_one_row(self, exchange: Exchange, call: Call, reply: Reply) -> bool:
        """Whether a reply is a row as a query reads it, to a client that asks for no more than to have it."""
        plain = not (reply.headers or reply.secret or reply.view or reply.next or call.verdicts or call.if_match)
        return plain and self._reads and _VALIDATING.isdisjoint(exchange.headers) and reply.status == 200

    def _full(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        if reply.file is not None:
            return self._of_file(exchange, call, reply, reply.file)
        return self._of_body(exchange, call, reply)

    def _of_file(self, exchange: Exchange, call: Call, reply: Reply, file: File) -> Answer:
        exchange.common = viewed(exchange.common, file.media_type, inline=file.inline)
        head = b"".join(self._head(exchange, call, reply, None, None))
        now = call.operation.ports.clock.now()
        return file_answer(exchange, file, reply.status, head, now, self._answers.problem)

    def _of_body(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        wanted = None
        if self._packs and may_pack(reply, self._least):
            wanted = self._packing.wanted(exchange.headers)
        tag = self._tag(reply)
        if call.operation.operation.kind is OperationKind.QUERY:
            known = _not_modified(exchange, call, reply, tag, wanted)
            if known is not None:
                return Answer(304, b"".join(self._head(exchange, call, reply, known, wanted)))
        packed = None
        if wanted is not None and wanted.codings:
            packed = self._packing.reply(wanted.codings[0], reply, always=self._always)
            if packed.coding is not None and tag:
                tag = coded(tag, packed.coding.name)
        parts = self._head(exchange, call, reply, tag, wanted)
        if reply.status in BODYLESS:
            return Answer(reply.status, b"".join(parts))
        parts.append(self._type)
        if packed is None:
            return Answer(reply.status, b"".join(parts), reply.body, reply.stream)
        if packed.coding is not None:
            parts.append(packed.coding.line)
        return Answer(reply.status, b"".join(parts), packed.body, packed.stream)

    def _tag(self, reply: Reply) -> str | None:
        if reply.secret:
            return None
        shown = representation(reply.view, self._media) if reply.view else self._shown
        if reply.version is not None:
            return entity_tag(reply.version, shown)
        return None if self._rules is None or reply.stream is not None else content_tag(reply.body, shown)

    def _head(
        self, exchange: Exchange, call: Call, reply: Reply, tag: str | None, wanted: Wanted | None
    ) -> list[bytes]:
        """Return the lines that do not depend on the body."""
        parts = [] if not tag else [b"ETag: ", tag.encode("latin-1"), b"\r\n"]
        if wanted is not None:
            parts.append(VARY)
        if self._rules is not None and not reply.secret:
            parts.append(self._rules.lines(call, reply))
        else:
            parts.append(_caching(call, reply, tag is not None or reply.file is not None))
        if reply.location is not None and reply.status in (201, 202):
            prefix = self._location or exchange.path.decode()
            parts.append(line("Location", f"{exchange.root}{prefix}/{quote(reply.location, safe='')}"))
        if reply.next is not None:
            parts.append(line("Link", _next_link(exchange, call, reply.next)))
        if reply.keep is not None and self._answers.sessions is not None:
            parts.append(self._answers.sessions.line(reply.keep))
        if reply.replayed:
            parts.append(b"Idempotency-Replayed: true\r\n")
        if reply.headers:
            exchange.common = without(exchange.common, (name for name, _ in reply.headers))
            parts.extend(line(name, value) for name, value in reply.headers)
        shared = self._rules is not None and not reply.secret and self._rules.shares(call, reply)
        parts.append(self._answers.trailer(exchange, limits=not shared))
        return parts


def _not_modified(exchange: Exchange, call: Call, reply: Reply, tag: str | None, wanted: Wanted | None) -> str | None:
    """Return the validator of what the client has where that is right still ("" where a date says so), else None.

    What it has may be in any coding that it takes. Raises ``PreconditionFailed`` where If-Match does not hold.
    """
    if call.if_match and reply.version is not None and reply.version not in call.if_match:
        raise PreconditionFailed("it is not in the version that If-Match names")
    field = exchange.headers.get(b"if-none-match")
    if field is None:
        since = exchange.headers.get(b"if-modified-since")
        still = since is not None and reply.modified is not None and not modified_since(since, reply.modified)
        return (tag or "") if still else None
    if tag is None:
        return None
    tags = [tag] if wanted is None else [coded(tag, one.name) for one in wanted.codings]
    if wanted is not None and wanted.plain:
        tags.append(tag)
    return known_tag(field.decode("latin-1"), tags)


def _caching(call: Call, reply: Reply, validated: bool) -> bytes:
    if reply.headers and any(name.lower() == "cache-control" for name, _ in reply.headers):
        return b""
    query = call.operation.operation.kind is OperationKind.QUERY
    if not validated or not query:
        return _NO_STORE
    return _REVALIDATE if call.credentials is None else _REVALIDATE_OWN


def _next_link(exchange: Exchange, call: Call, cursor: str) -> str:
    pairs = [f"{_quoted(name)}={_quoted(value)}&" for name, value in call.query if name != "cursor"]
    path = quote(exchange.path, safe=_PATH_SAFE)
    return f'<{exchange.root}{path}?{"".join(pairs)}cursor={_quoted(cursor)}>; rel="next"'


def _quoted(text: str) -> str:
    """Return a name or a value as it stands in a query string."""
    plain = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return text if plain else quote_plus(text)
