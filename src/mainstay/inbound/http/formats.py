"""MessagePack beside JSON: one vocabulary, two spellings.

A body in MessagePack is read as the JSON text that it stands for, so that one validation meets both, and an idempotent
retry may come in the other. Values have the forms that they have in JSON: decimals, times and UUIDs are strings; bytes,
which JSON spells in base64, may be MessagePack's own. What JSON has not is refused: extension types, keys that are no
strings, numbers that are not finite, a member given twice. An answer in MessagePack is made of its JSON text, which is
also what an idempotent replay has. Problems are always ``application/problem+json`` (RFC 9457).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.encode import ReplyEncoder
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.kernel.call import Call, Reply
from mainstay.model.problem import Malformed

MSGPACK = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")
"""The registered media type, and those that it had before."""

MAX_DEPTH = 64
MAX_CONTAINERS = 100_000
"""How many arrays and maps a body may have: each takes one byte to send and some microseconds to look at."""

MAX_LONG = 100_000
"""How many values a body may have where not all of them are in their shortest form: each is looked at by itself."""

_decode = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode
_from_json = msgspec.json.Decoder().decode
_to_json = msgspec.json.Encoder().encode


class MsgpackSyntax(Malformed):
    """The body is not well-formed MessagePack, or has what JSON has not."""


class MsgpackEncoder(ReplyEncoder):
    """Encodes replies in MessagePack, from their JSON text."""

    def __call__(self, exchange: Exchange, call: Call, reply: Reply) -> Answer:
        """Return the answer, as ``ReplyEncoder`` does."""
        if reply.body:
            reply = msgspec.structs.replace(reply, body=to_msgpack(reply.body))
        return super().__call__(exchange, call, reply)


async def read_msgpack(inflow: Inflow) -> bytes:
    """Wait for the end of a body and return the JSON text that it stands for. Raises ``MsgpackSyntax``."""
    return from_msgpack(await inflow.read())


def to_msgpack(text: bytes) -> bytes:
    """Return JSON text as MessagePack."""
    return _encode(_from_json(text))


def from_msgpack(body: bytes) -> bytes:
    """Return the JSON text that a body stands for; none for an empty one. Raises ``MsgpackSyntax``."""
    if not body:
        return body
    try:
        tree = _decode(body)
    except msgspec.DecodeError as error:
        raise MsgpackSyntax(f"the body is not MessagePack: {_said(error)}") from None
    except (UnicodeDecodeError, RecursionError, TypeError):
        raise MsgpackSyntax("the body is not MessagePack that JSON can say") from None
    _check(tree)
    # Encoded again in the shortest forms, a body with a member given twice becomes another one; most senders use these.
    if _encode(tree) != body:
        _refuse_twice(body)
    return _to_json(tree)


def _said(error: Exception) -> str:
    text = str(error).removeprefix("MessagePack data is malformed: ")
    return text.replace("Input data was truncated", "it ends early")


def _check(tree: Any) -> None:
    """Refuse values that JSON has not, level by level."""
    level: list[Any] = [tree]
    depth = containers = 0
    while level:
        depth += 1
        containers += sum(type(value) in _CONTAINERS for value in level)
        if containers > MAX_CONTAINERS:
            raise MsgpackSyntax(f"a body has at most {MAX_CONTAINERS} arrays and maps")
        if depth > MAX_DEPTH + 1:
            raise MsgpackSyntax(f"arrays and maps may be nested {MAX_DEPTH} deep")
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is dict:
                if not all(type(key) is str for key in value):
                    raise MsgpackSyntax("the keys of a map are strings")
                below.extend(value.values())
            elif kind is list:
                below.extend(value)
            elif kind is float and not isfinite(value):
                raise MsgpackSyntax("a number is finite")
            elif kind not in _PLAIN:
                raise MsgpackSyntax("extension types are not read: a time is a string (RFC 3339)")
        level = below


_CONTAINERS = frozenset({dict, list})
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


def _refuse_twice(body: bytes) -> None:
    """Refuse a member that is given twice, in a body that was decoded before."""
    for seen, key in _keys(body):
        if key in seen:
            raise MsgpackSyntax("a member may be given once")
        seen.add(key)


_FIXED = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict.fromkeys((0xCC, 0xD0), 1),
    **dict.fromkeys((0xCD, 0xD1), 2),
    **dict.fromkeys((0xCA, 0xCE, 0xD2), 4),
    **dict.fromkeys((0xCB, 0xCF, 0xD3), 8),
}
_SIZED = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}


def _keys(body: bytes) -> Iterator[tuple[set[bytes], bytes]]:
    """Walk the keys of all maps, each with the set of those of its map that came before."""
    open_: list[tuple[set[bytes] | None, int]] = []  # the keys of a map (None: an array), values to come
    at = 0
    for _ in range(MAX_LONG):
        at, length, children, is_map = _item(body, at, body[at])
        if open_:
            seen, left = open_[-1]
            if seen is not None and left % 2 == 0:
                yield seen, body[at : at + length]
            open_[-1] = (seen, left - 1)
        at += length
        if children:
            open_.append((set() if is_map else None, children))
        while open_ and open_[-1][1] == 0:
            open_.pop()
        if not open_:
            return
    raise MsgpackSyntax(f"a body of more than {MAX_LONG} values is read in the shortest forms only")


def _item(body: bytes, at: int, head: int) -> tuple[int, int, int, bool]:
    """Return where an item's content begins, its length, how many items follow in it, and whether it is a map."""
    at += 1
    if head < 0x80 or head >= 0xE0:
        return at, 0, 0, False
    if head < 0x90:
        return at, 0, 2 * (head & 0x0F), True
    if head < 0xA0:
        return at, 0, head & 0x0F, False
    if head < 0xC0:
        return at, head & 0x1F, 0, False
    if head in _FIXED:
        return at, _FIXED[head], 0, False
    for table in (_SIZED, _ARRAYS, _MAPS):
        form = table.get(head)
        if form is not None:
            count = struct.unpack_from(form, body, at)[0]
            at += struct.calcsize(form)
            if table is _SIZED:
                return at, count, 0, False
            return (at, 0, count, False) if table is _ARRAYS else (at, 0, 2 * count, True)
    raise MsgpackSyntax("extension types are not read: a time is a string (RFC 3339)")
