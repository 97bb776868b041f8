"""Calls to the outside, at the door of a service that takes addresses from its callers: none leads inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from answering_server import Asked, answering, reply

from mainstay import Dto, HttpClient, Module, Service, anyone
from mainstay.adapters.outgoing import guard
from mainstay.app.assembly import Application, assemble
from mainstay.app.doors import make_doors
from mainstay.app.observing import make_observing
from mainstay.app.settings import examine, load
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.model.faults import StartupFailed
from mainstay.ports.http import HttpAnswer
from mainstay.testing import Client, MemoryHttp, Recorder


class Fetched(Dto):
    status: int
    text: str


class Wanted(Dto):
    url: str
    redirects: int = 0


class Prices:
    """What is made once for the service, and calls others, too."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http


def service_of() -> Service:
    desk = Module("desk")

    @desk.command("POST /fetch", allow=anyone, external=True)
    async def fetch(wanted: Wanted, http: HttpClient) -> Fetched:
        answer = await http.request("GET", wanted.url, redirects=wanted.redirects)
        return Fetched(status=answer.status, text=answer.body.decode())

    @desk.query("GET /prices", allow=anyone, deadline=0.3)
    async def prices(url: str, made: Prices, http: HttpClient) -> Fetched:
        await made.http.request("GET", url)
        answer = await http.request("GET", url)
        return Fetched(status=answer.status, text=answer.body.decode())

    service = Service("desk", modules=[desk])
    service.provide(Prices, Prices, scope="service")
    return service


@asynccontextmanager
async def served(
    folder: Path, recorder: Recorder, **settings: Any
) -> AsyncIterator[tuple[httpx2.AsyncClient, Application]]:
    flags = {f"outgoing.{name}": value for name, value in settings.items()}
    loaded = load(folder, profile="test", environ={}, flags=flags)
    application = assemble(service_of(), loaded, observer=recorder)
    async with application:
        doors = make_doors(application, observing=make_observing(loaded), siblings=None, documents={})
        transport = httpx2.ASGITransport(AsgiApp(doors.main))
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client, application
    assert application.http is not None


INSIDE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://evil.example#@127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "http://rebound.example/",
]


@pytest.mark.parametrize("url", INSIDE)
async def test_no_address_of_a_caller_leads_inside(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolver(name: str) -> Sequence[str]:
        return {"rebound.example": ["93.184.216.34", "127.0.0.1"]}.get(name) or ["127.0.0.1", "::1"]

    monkeypatch.setattr(guard, "system_resolver", resolver)
    recorder = Recorder()
    async with answering(lambda _asked: reply(b"inside")) as server, served(tmp_path, recorder) as (client, _):
        answer = await client.post("/fetch", json={"url": url.format(port=server.port)})
        assert server.connections == 0
    assert answer.status_code == 503
    assert answer.json()["code"] == "address_refused"
    assert answer.json()["detail"] == "The address is none that this service may call"
    assert [told.code for told in recorder.outgoing] == ["address_refused"]


async def test_no_redirect_of_a_host_that_may_be_called_leads_inside(tmp_path: Path) -> None:
    def answer(asked: Asked) -> bytes:
        return reply(b"", 302, location=f"http://127.0.0.2:{inner.port}/")

    async with (
        answering(lambda _asked: reply(b"inside"), host="127.0.0.2") as inner,
        answering(answer) as outer,
        served(tmp_path, Recorder(), allow=["127.0.0.1"]) as (client, _),
    ):
        url = f"http://127.0.0.1:{outer.port}/"
        refused = await client.post("/fetch", json={"url": url, "redirects": 3})
        assert (refused.status_code, refused.json()["code"]) == (503, "address_refused")
        assert (await client.post("/fetch", json={"url": url})).json()["status"] == 302
        assert inner.connections == 0


async def test_the_service_itself_is_not_called(tmp_path: Path) -> None:
    async with answering(lambda _asked: reply(b"admin")) as server:
        flags = {"outgoing.allow": ["127.0.0.0/8"], "http.port": server.port}
        loaded = load(tmp_path, profile="test", environ={}, flags=flags)
        async with assemble(service_of(), loaded, observer=Recorder()) as application:
            assert application.http is not None
            with pytest.raises(Exception, match="listens there itself"):
                await application.http.request("GET", f"http://127.0.0.1:{server.port}/")
        assert server.connections == 0


async def test_a_call_goes_with_the_id_and_the_trace_of_what_it_is_for(tmp_path: Path) -> None:
    recorder = Recorder()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with (
        answering(lambda _asked: reply(b"ok")) as server,
        served(tmp_path, recorder, allow=["127.0.0.1"]) as (client, application),
    ):
        url = f"http://127.0.0.1:{server.port}/x?key=hidden"
        answer = await client.get("/prices", params={"url": url}, headers={"X-Request-ID": "r-7", "traceparent": trace})
        assert (answer.status_code, answer.json()) == (200, {"status": 200, "text": "ok"})
        assert server.asked[1].headers["x-request-id"] == "r-7"
        assert server.asked[1].headers["traceparent"].startswith(trace[:36])
        assert server.asked[1].headers["user-agent"].startswith("desk/")
        assert "x-request-id" not in server.asked[0].headers  # of nobody's call
        assert server.connections == 1
        assert application.http is not None
        assert application.http._pool is not None
    assert application.http._pool is None
    assert [told.request_id for told in recorder.outgoing] == ["", "r-7"]
    assert "hidden" not in repr([told for told in recorder.outgoing])


async def test_a_call_ends_with_the_deadline_of_what_it_is_for(tmp_path: Path) -> None:
    recorder = Recorder()
    async with (
        answering(lambda _asked: reply(b"ok")) as server,
        served(tmp_path, recorder, allow=["127.0.0.1"]) as (client, _),
    ):
        server.hold = asyncio.Event()
        answer = await client.get("/prices", params={"url": f"http://127.0.0.1:{server.port}/"})
        assert answer.status_code in (503, 504)
        assert recorder.outgoing[0].seconds < 5


def test_a_command_that_calls_others_says_so() -> None:
    desk = Module("desk")

    @desk.command("POST /fetch", allow=anyone)
    async def fetch(wanted: Wanted, http: HttpClient) -> Fetched:
        raise NotImplementedError

    with pytest.raises(StartupFailed, match="external=True"):
        Client(Service("desk", modules=[desk]))


async def test_a_team_tests_with_a_table() -> None:
    http = MemoryHttp({"GET https://prices.example/tea": HttpAnswer(status=200, body=b"3.20")})
    async with Client(service_of(), http=http) as client:
        answer = await client.post("/fetch", json={"url": "https://prices.example/tea?currency=EUR"})
        assert answer.json == {"status": 200, "text": "3.20"}
        assert (await client.post("/fetch", json={"url": "http://user@x.example/"})).code == "address_refused"
    assert [request.target.path for request in http.requests] == ["/tea?currency=EUR"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("outgoing.allow", ["10.0.0.0/8", "http://x"], "entry 2 is no network, address or name"),
        ("outgoing.certificates", "none.pem", "there is no such file"),
        ("outgoing.ports", [0, 70000], "expected a list"),
        ("outgoing.connections", 0, "expected a whole number"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(key: str, value: object, says: str, tmp_path: Path) -> None:
    _, faults = examine(tmp_path, profile="test", environ={}, flags={key: value})
    assert [fault.key for fault in faults] == [key]
    assert says in str(faults[0])
