"""What the door refuses of framing and hosts where another server has parsed the request: it takes nobody's word."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from http_sample import Sample
from raw_requests import BODY, CASES, Raw

from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.options import HttpOptions


def fields_of(case: Raw) -> list[tuple[bytes, bytes]] | None:
    """Return the header fields of a case as a server hands them on, None where no server would."""
    head = case.data.partition(b"\r\n\r\n")[0]
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    if any(name != name.strip() or not colon or b"\n" in value or b"\r" in value for name, colon, value in pairs):
        return None
    return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


FRAMED = [
    case
    for case in CASES
    if case.name.startswith(("length", "coding", "unknown coding")) and case.ends and fields_of(case) is not None
]


def status(fields: list[tuple[bytes, bytes]]) -> int:
    """Send a request through ASGI, and return its status."""
    sample = Sample()
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/items",
        "headers": fields,
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(
        AsgiApp(sample.door(HttpOptions()))({**scope, "raw_path": b"/items", "query_string": b""}, receive, send)
    )
    found: int = sent[0]["status"]
    return found


@pytest.mark.parametrize("case", FRAMED, ids=[case.name for case in FRAMED])
def test_a_bad_frame_is_refused_whoever_parsed_it(case: Raw) -> None:
    fields = fields_of(case)
    assert fields is not None
    tabbed = b"\t" in case.data  # it has been taken away: the other server has read it as white space
    assert status(fields) in ((200, 201, case.status) if tabbed else (400, 501))


def test_two_hosts_are_refused_whoever_parsed_them() -> None:
    assert status([(b"host", b"t"), (b"host", b"t"), (b"content-length", b"12")]) == 400


def test_there_are_cases() -> None:
    assert len(FRAMED) > 60
