"""Requests for an operation, as a caller may send them: by every spelling of the REST door."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from mainstay.app.explaining.existing import Existing
from mainstay.app.explaining.finding import Named
from mainstay.app.explaining.inputs import make_input
from mainstay.kernel.bound import BoundOperation
from mainstay.model.principal import Principal
from mainstay.model.versions import span_of
from mainstay.testing.answer import Answer
from mainstay.testing.client import Client

MSGPACK = "application/vnd.msgpack"
PATIENCE = 3600.0
"""Seconds that are let pass where a rate limit refuses: who waits is let in again."""

OF_EACH = frozenset({"date", "x-request-id", "ratelimit", "ratelimit-policy"})
"""Headers that differ from request to request."""

_REQUEST = re.compile(rb'"request_id":"[^"]*"')
_TOO_MANY = 429


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request; ``arguments`` are the values in the path's braces."""

    method: str
    path: str
    arguments: Mapping[str, str] = {}
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    body: Any = msgspec.UNSET

    @property
    def target(self) -> str:
        """The path and the query, as they are sent."""
        path = self.path
        for name, value in self.arguments.items():
            path = path.replace("{" + name + "}", value)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def __str__(self) -> str:
        body = "" if self.body is msgspec.UNSET else f" {msgspec.json.encode(self.body, enc_hook=str).decode()}"
        return f"{self.method} {self.target}{body}"

    def spelled(self) -> Iterator[Ask]:
        """Walk the spellings of the request: as it is, in MessagePack, and the head alone."""
        yield self
        packed = {"accept": f"{MSGPACK}, application/problem+json"}
        packed |= {} if self.body is msgspec.UNSET else {"content-type": MSGPACK}
        yield replace(self, headers={**self.headers, **packed})
        if self.method == "GET":
            yield replace(self, method="HEAD")


class Facts(NamedTuple):
    """What a caller can tell two answers apart by."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


async def ask_for(client: Client, operation: BoundOperation, who: Principal) -> Ask:
    """Return a request that the operation may take, with values of rows that the caller may see, or made up.

    Raises ``Refusal`` where an input cannot be made up.
    """
    existing = Existing(client.bound, client.bound.ports.store, operation)
    made = await make_input(client.bound, Named(operation), {}, who, existing)
    declared, versions = operation.operation, client.bound.service.versions
    served = span_of(declared.since, declared.until, versions)
    prefix = versions[max(served)].prefix if versions else ""
    return Ask(
        method=declared.method,
        path=prefix + declared.path,
        arguments=made.arguments,
        query=tuple(made.query),
        headers=made.headers,
        body=msgspec.UNSET if made.body is None else made.body,
    )


async def send(client: Client, ask: Ask, who: Principal | None) -> Answer:
    """Send a request, again where a rate limit refused it."""
    content: dict[str, Any] = {}
    if ask.body is not msgspec.UNSET:
        packed = ask.headers.get("content-type") == MSGPACK
        content = {"body": msgspec.msgpack.encode(ask.body, enc_hook=str)} if packed else {"json": ask.body}
    answer = await client.request(ask.method, ask.target, who=who, headers=dict(ask.headers), **content)
    if answer.status == _TOO_MANY:
        client.clock.advance(PATIENCE)
        answer = await client.request(ask.method, ask.target, who=who, headers=dict(ask.headers), **content)
    return answer


def facts(answer: Answer, *, without: str) -> Facts:
    """Return what an answer tells, but for the one text that the caller sent itself."""
    headers = sorted((n, v.replace(without, "@")) for n, v in answer.headers.items() if n not in OF_EACH)
    return Facts(answer.status, tuple(headers), _REQUEST.sub(b"", answer.body.replace(without.encode(), b"@")))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Walk the plain values in a body, each with its place."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))
    else:
        yield path, value


def placed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a body with another value in one place."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, list):
        return [placed(inner, tuple(rest), new) if number == first else inner for number, inner in enumerate(value)]
    return {**value, first: placed(value.get(first), tuple(rest), new)}
