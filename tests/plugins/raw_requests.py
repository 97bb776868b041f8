"""Raw requests, good and bad, each with the answer that it must get: what testers of HTTP servers send.

A request that is refused ends its connection, and what stands behind it is never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HOST = b"Host: t\r\n"
BODY = b'{"name":"a"}'
AHEAD = b"GET /items/ahead HTTP/1.1\r\nHost: t\r\n\r\n"
BEHIND = b"GET /items/behind HTTP/1.1\r\nHost: t\r\n\r\n"

_SECTION = re.compile(r"\[(.+)\] (\d{3}) (ends|goes on)")
_RUN = re.compile(rb"\{(.)\*(\d+)\}")


class Raw(NamedTuple):
    """A request and the status that it gets. ``ends`` says that nothing behind it is answered."""

    name: str
    data: bytes
    status: int
    ends: bool


def line(text: bytes, fields: bytes = b"") -> bytes:
    """Return a request with this request line."""
    return text + b"\r\n" + HOST + fields + b"\r\n"


def field(text: bytes) -> bytes:
    """Return a request with this header line, or these."""
    return line(b"GET /hello HTTP/1.1", text)


def post(framing: bytes, rest: bytes = b"", version: bytes = b"1.1") -> bytes:
    """Return a POST whose body is framed so."""
    return line(b"POST /items HTTP/" + version, b"Content-Type: application/json\r\n" + framing) + rest


def chunked(body: bytes) -> bytes:
    """Return a chunked POST with this body as it stands."""
    return post(b"Transfer-Encoding: chunked\r\n", body)


def end_of_chunks(end: bytes) -> bytes:
    """Return a chunked POST whose body ends so."""
    return chunked(b"c\r\n" + BODY + end)


_END = b"\r\n0\r\n\r\n"
MAKERS: dict[str, Callable[[bytes], bytes]] = {
    "version": lambda text: line(b"GET /hello " + text),
    "version, kept alive": lambda text: line(b"GET /hello " + text, b"Connection: keep-alive\r\n"),
    "no version": lambda text: line(b"GET /hello " + text),
    "line": line,
    "target": lambda text: line(b"GET " + text + b" HTTP/1.1"),
    "OPTIONS": lambda text: line(b"OPTIONS " + text + b" HTTP/1.1"),
    "method": line,
    "host": lambda text: b"GET /hello HTTP/1.1\r\n" + text + b"\r\n",
    "field": field,
    "connection": lambda text: field(b"Connection: " + text + b"\r\n"),
    "1.0": lambda text: b"GET /hello HTTP/1.0\r\n" + text + b"\r\n",
    "length": lambda text: post(b"Content-Length: " + text + b"\r\n", BODY),
    "no body": post,
    "coding": lambda text: post(b"Transfer-Encoding: " + text + b"\r\n", b"c\r\n" + BODY + _END),
    "unknown coding": lambda text: post(b"Transfer-Encoding: " + text + b"\r\n", b"c\r\n" + BODY + _END),
    "framing": lambda text: post(text, BODY),
    "chunk": lambda text: chunked(text + BODY + _END),
    "chunks": chunked,
    "end of chunks": end_of_chunks,
    "before": lambda text: text + AHEAD,
}


def _listed() -> Iterator[Raw]:
    kind, status, ends = "", 0, False
    for text in Path(__file__).with_suffix(".txt").read_text(encoding="ascii").splitlines():
        section = _SECTION.fullmatch(text)
        if section is not None:
            kind, status, ends = section[1], int(section[2]), section[3] == "ends"
        elif kind and text:
            data = text.encode().decode("unicode_escape").encode("latin-1")
            data = _RUN.sub(lambda run: run[1] * int(run[2]), data)
            yield Raw(f"{kind} {text}"[:80], MAKERS[kind](data), status, ends)


FIELDS = b"".join(b"X-%d: %b\r\n" % (n, b"x" * 500) for n in range(40))
MADE = [
    Raw("no Host", b"GET /hello HTTP/1.1\r\n\r\n", 400, True),
    Raw("no length", post(b"Content-Length: \r\n", BODY), 400, True),
    Raw("no coding", post(b"Transfer-Encoding: \r\n", BODY), 400, True),
    Raw("a long path", line(b"GET /" + b"x" * 9000 + b" HTTP/1.1"), 414, True),
    Raw("a long query", line(b"GET /hello?" + b"x" * 9000 + b" HTTP/1.1"), 414, True),
    Raw("a long absolute target", line(b"GET http://t/" + b"x" * 9000 + b" HTTP/1.1"), 414, True),
    Raw("a large value", field(b"X: " + b"x" * 17_000 + b"\r\n"), 431, True),
    Raw("a large name", field(b"X" * 17_000 + b": x\r\n"), 431, True),
    Raw("large fields", field(FIELDS), 431, True),
    Raw("many fields", field(b"".join(b"X-%d: x\r\n" % n for n in range(101))), 431, True),
    Raw("a field many times", field(b"X: x\r\n" * 101), 431, True),
    Raw("many trailer fields", end_of_chunks(b"\r\n0\r\n" + b"X: x\r\n" * 101 + b"\r\n"), 431, True),
    Raw("a large trailer field", end_of_chunks(b"\r\n0\r\nX: " + b"x" * 17_000 + b"\r\n\r\n"), 431, True),
    Raw("little in many chunks", chunked(b"1\r\nx\r\n" * 8_300 + b"0\r\n\r\n"), 400, True),
    Raw("chunks in HTTP/1.0", post(b"Transfer-Encoding: chunked\r\n", b"c\r\n" + BODY + _END, b"1.0"), 400, True),
    Raw("both in HTTP/1.0", post(b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n", BODY, b"1.0"), 400, True),
    Raw("a bad Host in HTTP/1.0", b"GET /hello HTTP/1.0\r\nHost: a b\r\n\r\n", 400, True),
    Raw("an absolute target without Host", b"GET http://t/hello HTTP/1.1\r\n\r\n", 400, True),
    Raw("an absolute target with a bad Host", b"GET http://t/hello HTTP/1.1\r\nHost: a b\r\n\r\n", 400, True),
    Raw("an unknown expectation", post(b"Expect: tea\r\nContent-Length: 12\r\n", BODY), 417, False),
    Raw("the most fields", field(b"X: x\r\n" * 99), 200, False),
    Raw("the largest field", field(b"X: " + b"x" * 16_360 + b"\r\n"), 200, False),
    Raw("HTTP/1.0", b"GET /hello HTTP/1.0\r\n\r\n", 200, True),
    Raw("a body that is missing", post(b""), 400, False),
    Raw("a body of a query", field(b"Content-Length: 5\r\n") + b"12345", 200, False),
    Raw("a chunked body of a query", field(b"Transfer-Encoding: chunked\r\n") + b"5\r\n12345" + _END, 200, False),
    Raw("a body where there is nothing", line(b"POST /no HTTP/1.1", b"Content-Length: 5\r\n") + b"12345", 404, False),
]

CASES = [*_listed(), *MADE]
