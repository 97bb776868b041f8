"""What only the ASGI form of the door does: the server's life, mounting, a client that leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from http_sample import Sample

from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.options import HttpOptions


def scope(path: str = "/hello", **more: Any) -> dict[str, Any]:
    base = {"type": "http", "http_version": "1.1", "method": "GET", "path": path, "query_string": b"", "headers": []}
    return {**base, **more}


async def call(app: AsgiApp, scope_: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope_, receive, send)
    return sent


@pytest.fixture
def sample() -> Sample:
    return Sample()


@pytest.fixture
def app(sample: Sample) -> AsgiApp:
    return AsgiApp(sample.door(HttpOptions()))


async def test_a_server_without_raw_path_and_client(app: AsgiApp) -> None:
    sent = await call(app, scope("/items/ż"), [])
    assert (sent[0]["status"], sent[1]["body"]) == (200, '{"id":"ż"}'.encode())


async def test_the_path_of_the_mount_is_not_part_of_a_route(app: AsgiApp) -> None:
    sent = await call(app, scope("/api/items", raw_path=b"/api/items", root_path="/api"), [])
    assert sent[0]["status"] == 200
    assert (b"link", b'</api/items?cursor=c2+%26%3E>; rel="next"') in sent[0]["headers"]


async def test_a_body_without_length_over_http_2(app: AsgiApp) -> None:
    one = scope("/items", method="POST", http_version="2", headers=[(b"content-type", b"application/json")])
    sent = await call(app, one, [{"type": "http.request", "body": b'{"name":"a"}'}])
    assert sent[0]["status"] == 201


async def test_a_client_that_leaves_cancels_a_query(app: AsgiApp, sample: Sample) -> None:
    assert await call(app, scope("/slow"), [{"type": "http.disconnect"}]) == []
    assert sample.cancelled == ["m.slow"]


async def test_a_client_that_leaves_in_a_body_ends_the_call(app: AsgiApp, sample: Sample) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"12")]
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    sent = await call(app, scope("/items", method="POST", headers=headers), messages)
    assert sent[0]["status"] == 400


async def test_a_stream_that_breaks_is_not_taken_for_whole(app: AsgiApp) -> None:
    with pytest.raises(OSError, match="broke"):
        await call(app, scope("/ticker", query_string=b"n=1&end=broken"), [])


async def test_the_life_of_the_server(sample: Sample) -> None:
    lived: list[str] = []

    async def start() -> None:
        lived.append("start")

    async def stop() -> None:
        lived.append("stop")

    door = sample.door(HttpOptions())
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = await call(AsgiApp(door, start=start, stop=stop), {"type": "lifespan"}, messages)
    assert [one["type"] for one in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (lived, door.draining) == (["start", "stop"], True)


async def test_a_start_that_fails_is_told(sample: Sample) -> None:
    async def start() -> None:
        raise OSError("no database")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    with pytest.raises(OSError, match="no database"):
        await AsgiApp(sample.door(HttpOptions()), start=start)({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": "OSError: no database"}]


async def test_another_scope_is_refused(app: AsgiApp) -> None:
    with pytest.raises(RuntimeError, match="mqtt"):
        await call(app, {"type": "mqtt"}, [])
