"""Limits and authentication refuse a call before its body is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_clients import Answered, Wire
from shop_served import Running, settings_for

from mainstay import Dto, Module, Service, anyone, authenticated, limit


class Large(Dto):
    text: str


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Running]:
    module = Module("m")

    @module.command("POST /open", allow=anyone, limits=[limit("1/day", by="address")])
    async def open_(wanted: Large) -> str:
        return wanted.text

    @module.command("POST /closed", allow=authenticated)
    async def closed(wanted: Large) -> str:
        return wanted.text

    running = Running(
        settings_for("memory:", tmp_path, **{"auth.issuer": "t", "auth.audience": ["t"]}),
        Service("guarded", version="1.0.0", modules=[module]),
        limited=True,
        seeds=False,
    )
    yield running
    running.stop()


@pytest.mark.parametrize("expects", [b"Expect: 100-continue\r\n", b""], ids=["100-continue", "withheld"])
def test_limits_and_authentication_refuse_before_a_body_is_sent(guarded: Running, expects: bytes) -> None:
    def head(path: bytes) -> bytes:
        lines = b"Host: t\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n"
        return b"POST " + path + b" HTTP/1.1\r\n" + lines + expects + b"\r\n"

    def refusal(path: bytes) -> Answered:
        wire = guarded.wire()
        wire.say(head(path))
        return wire.hear()

    assert refusal(b"/closed").json["code"] == "credentials_missing"
    first: Wire = guarded.wire()
    first.say(head(b"/open"))
    if expects:
        assert first.hear().status == 100
    first.say(b'{"text": "%b"}' % (b"x" * 49988))
    assert first.hear().status == 200
    refused = refusal(b"/open")
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
