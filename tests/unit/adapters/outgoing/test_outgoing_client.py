"""The HTTP client on real connections: to what was judged, within every bound, observed once."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from answering_server import Asked, Last, answering, reply
from certificates import make_pair

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.outgoing.allowances import allowances
from mainstay.adapters.outgoing.client import Bounds, Cause, GuardedHttp
from mainstay.adapters.outgoing.guard import Guard
from mainstay.ports.http import AddressRefused, HttpFailed, RequestRefused
from mainstay.ports.observer import OutgoingEnded
from mainstay.testing.recorder import Recorder


class Names:
    """A name server that only the client under test knows."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self.names = names
        self.asked: list[str] = []

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.names[name]


class World:
    """A client and what it told."""

    def __init__(self, names: Mapping[str, Sequence[str]], allow: Sequence[str], bounds: Bounds) -> None:
        self.names = Names(names)
        self.recorder = Recorder()
        guard = Guard(allowances(allow), resolve=self.names.resolve)
        self.client = GuardedHttp(guard, SystemClock(), self.recorder, bounds)

    @property
    def told(self) -> Sequence[OutgoingEnded]:
        return self.recorder.outgoing


@asynccontextmanager
async def calling(
    names: Mapping[str, Sequence[str]] = {}, allow: Sequence[str] = ("127.0.0.1",), bounds: Bounds | None = None
) -> AsyncIterator[World]:
    world = World(names, allow, bounds or Bounds())
    try:
        yield world
    finally:
        await world.client.aclose()


def always(answer: bytes) -> Callable[[Asked], bytes]:
    return lambda _asked: answer


async def test_a_request_is_sent_as_it_is_and_answered() -> None:
    async with answering(always(reply(b"ok", 201, X_A="1", x_a="2"))) as server, calling() as world:
        url = f"http://127.0.0.1:{server.port}/a%20b?c=d"
        answer = await world.client.request("PUT", url, headers={"X-Key": "k"}, body=b"body")
        assert (answer.status, answer.body, answer.headers["x-a"]) == (201, b"ok", "1, 2")
    asked = server.asked[0]
    assert (asked.method, asked.target, asked.body) == ("PUT", "/a%20b?c=d", b"body")
    assert asked.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept-encoding": "gzip, deflate",
        "x-key": "k",
        "content-length": "4",
    }
    told = world.told[0]
    assert (told.method, told.origin) == ("PUT", f"http://127.0.0.1:{server.port}")
    assert (told.status, told.code, told.sent, told.received) == (201, None, 4, 2)
    assert "c=d" not in repr(told)
    assert "a%20b" not in repr(told)


async def test_connections_are_kept_for_the_next_call() -> None:
    async with answering(always(reply(b"ok"))) as server, calling() as world:
        for _ in range(3):
            await world.client.request("GET", f"http://127.0.0.1:{server.port}/")
        assert server.connections == 1


async def test_the_connection_is_made_to_the_address_that_was_judged() -> None:
    """No name server but the one of the test knows the name: whoever looked it up a second time would not connect."""
    names = {"pay.internal": ["127.0.0.1"]}
    async with answering(always(reply(b"ok"))) as server, calling(names, ["pay.internal"]) as world:
        answer = await world.client.request("GET", f"http://pay.internal:{server.port}/")
        assert answer.body == b"ok"
        assert world.names.asked == ["pay.internal"]
        assert server.asked[0].headers["host"] == f"pay.internal:{server.port}"


async def test_a_name_that_is_rebound_is_judged_again_or_not_asked_again() -> None:
    names = {"pay.internal": ["127.0.0.1"]}
    async with answering(always(reply(b"ok"))) as server, calling(names, ["127.0.0.1"]) as world:
        url = f"http://pay.internal:{server.port}/"
        await world.client.request("GET", url)
        world.names.names = {"pay.internal": ["127.0.0.2"]}
        assert (await world.client.request("GET", url)).status == 200  # on the connection to what was judged
        await world.client.aclose()
        with pytest.raises(AddressRefused):
            await world.client.request("GET", url)
        assert server.connections == 1


async def test_nothing_is_sent_to_an_address_that_is_refused() -> None:
    async with (
        answering(always(reply(b"secret"))) as server,
        calling({"a.example": ["8.8.8.8", "127.0.0.1"]}, []) as world,
    ):
        for url in (
            f"http://127.0.0.1:{server.port}/",
            "http://a.example/",
            f"http://[::ffff:127.0.0.1]:{server.port}/",
        ):
            with pytest.raises(AddressRefused) as refused:
                await world.client.request("GET", url)
            assert "127" not in refused.value.detail
        with pytest.raises(AddressRefused):
            await world.client.request("GET", "file:///etc/passwd")
        with pytest.raises(RequestRefused):
            await world.client.request("GET", "http://a.example/", headers={"a": "b\r\nc: d"})
        assert server.connections == 0
    assert [told.code for told in world.told] == ["address_refused"] * 4 + ["request_refused"]


async def test_a_redirect_is_judged_like_the_first_address() -> None:
    def answer(asked: Asked) -> bytes:
        location = {"/in": "http://10.0.0.1/", "/meta": "http://169.254.169.254/latest", "/other": "http://b.internal/"}
        return reply(b"", 302, location=location.get(asked.target, "/in"))

    names = {"a.internal": ["127.0.0.1"], "b.internal": ["10.0.0.9"]}
    async with answering(answer) as server, calling(names, [f"a.internal:{server.port}"]) as world:
        for path in ("/in", "/meta", "/other", "/"):
            with pytest.raises(AddressRefused):
                await world.client.request("GET", f"http://a.internal:{server.port}{path}", redirects=5)
        assert (await world.client.request("GET", f"http://a.internal:{server.port}/in")).status == 302


async def test_the_second_address_is_tried_where_the_first_does_not_answer() -> None:
    names = {"a.internal": ["127.0.0.9", "127.0.0.1"], "b.internal": ["127.0.0.9"]}
    async with answering(always(reply(b"ok"))) as server, calling(names, ["*.internal"]) as world:
        assert (await world.client.request("GET", f"http://a.internal:{server.port}/")).body == b"ok"
        with pytest.raises(HttpFailed, match="ConnectError"):
            await world.client.request("GET", f"http://b.internal:{server.port}/")
        assert world.told[1].code == "http_failed"


async def test_time_is_bounded_as_a_whole() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with calling() as world:
        with pytest.raises(HttpFailed, match=r"within 0\.2 s"):
            await world.client.request("GET", f"http://127.0.0.1:{port}/", seconds=0.2)
    server.close()
    await asyncio.sleep(0.05)


async def test_the_deadline_of_the_call_bounds_it_too() -> None:
    async with answering(always(reply(b"ok"))) as server, calling() as world:
        server.hold = asyncio.Event()
        now = SystemClock().monotonic()
        for deadline in (now + 0.1, now - 1):
            with pytest.raises(HttpFailed, match="within"):
                client = world.client.made_for(Cause(deadline=deadline))
                await client.request("GET", f"http://127.0.0.1:{server.port}/", seconds=60)


async def test_who_gives_up_ends_the_request() -> None:
    async with answering(always(reply(b"ok"))) as server, calling() as world:
        server.hold = asyncio.Event()
        task = asyncio.create_task(world.client.request("GET", f"http://127.0.0.1:{server.port}/"))
        while not server.open:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.told[0].code == "cancelled"
        server.hold.set()
        assert (await world.client.request("GET", f"http://127.0.0.1:{server.port}/")).status == 200


async def test_a_call_passes_its_trace_and_id_on() -> None:
    async with answering(always(reply(b"ok"))) as server, calling(bounds=Bounds(agent="shop/1.0")) as world:
        url = f"http://127.0.0.1:{server.port}/"
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        client = world.client.made_for(Cause("request-7", trace))
        await client.request("GET", url)
        await client.request("GET", url, headers={"User-Agent": "mine", "X-Request-ID": "own"})
    said = [(a.headers["x-request-id"], a.headers["traceparent"], a.headers["user-agent"]) for a in server.asked]
    assert said == [("request-7", trace, "shop/1.0"), ("own", trace, "mine")]
    assert (world.told[0].request_id, world.told[0].traceparent) == ("request-7", trace)


@pytest.mark.parametrize("way", ["length", "chunks", "close", "gzip"])
async def test_size_is_bounded(way: str) -> None:
    big = b"x" * 5000
    raw = {
        "length": reply(big),
        "chunks": b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n" + b"1388\r\n" + big + b"\r\n0\r\n\r\n",
        "close": Last(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n" + big),
        "gzip": reply(gzip.compress(bytes(10_000_000)), content_encoding="gzip"),
    }[way]
    async with answering(always(raw)) as server, calling(bounds=Bounds(max_body=4000)) as world:
        for bound in (100, 10_000_000):
            with pytest.raises(HttpFailed, match=f"more than {min(bound, 4000)} bytes"):
                await world.client.request("GET", f"http://127.0.0.1:{server.port}/", max_body=bound)


async def test_a_packed_answer_is_unpacked() -> None:
    packed = reply(gzip.compress(b"ok" * 100), content_encoding="gzip")
    async with answering(always(packed)) as server, calling() as world:
        assert (await world.client.request("GET", f"http://127.0.0.1:{server.port}/")).body == b"ok" * 100


@pytest.mark.parametrize(
    "raw",
    [
        Last(),
        Last(b"garbage\r\n\r\n"),
        b"HTTP/1.1 200 X\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        Last(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nabc"),
        reply(b"abc", content_encoding="br"),
        b"HTTP/1.1 200 X\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    ],
)
async def test_what_is_no_answer_is_no_answer(raw: bytes) -> None:
    async with answering(always(raw)) as server, calling() as world:
        with pytest.raises(HttpFailed):
            await world.client.request("GET", f"http://127.0.0.1:{server.port}/", seconds=5)
        assert world.told[0].code == "http_failed"


async def test_connections_to_one_host_are_bounded() -> None:
    async with answering(always(reply(b"ok"))) as server, calling(bounds=Bounds(per_host=2)) as world:
        server.hold = asyncio.Event()
        url = f"http://127.0.0.1:{server.port}/"
        tasks = [asyncio.create_task(world.client.request("GET", url)) for _ in range(6)]
        await asyncio.sleep(0.2)
        assert server.open == 2
        server.hold.set()
        await asyncio.gather(*tasks)
        assert server.most == 2
        assert world.client._lanes._gates == {}


async def test_tls_verifies_the_name_of_the_url(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, hosts=["pay.internal"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    bounds = Bounds(certificates=str(pair.certificate))
    resolved = {"pay.internal": ["127.0.0.1"], "other.internal": ["127.0.0.1"]}
    async with answering(always(reply(b"ok")), tls=context) as server:
        async with calling(resolved, ["*.internal"], bounds) as world:
            assert (await world.client.request("GET", f"https://pay.internal:{server.port}/")).body == b"ok"
            with pytest.raises(HttpFailed, match="CERTIFICATE_VERIFY_FAILED"):
                await world.client.request("GET", f"https://other.internal:{server.port}/")
        async with calling(resolved, ["*.internal"]) as world:
            with pytest.raises(HttpFailed, match="CERTIFICATE_VERIFY_FAILED"):
                await world.client.request("GET", f"https://pay.internal:{server.port}/")
    assert names[0] == "pay.internal"
    assert len(server.asked) == 1


async def test_the_environment_is_not_asked_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(always(reply(b"proxy"))) as proxy, answering(always(reply(b"ok"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with calling() as world:
            assert (await world.client.request("GET", f"http://127.0.0.1:{server.port}/")).body == b"ok"
        assert proxy.connections == 0


async def test_what_is_sent_is_in_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with answering(always(reply(b"ok", 500, Set_Cookie="hidden"))) as server, calling() as world:
        url = f"http://127.0.0.1:{server.port}/?key=hidden"
        await world.client.request("POST", url, headers={"Authorization": "hidden"}, body=b"hidden")
    assert "hidden" not in caplog.text
    assert "hidden" not in repr(world.told)
