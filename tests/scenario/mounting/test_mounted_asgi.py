"""ASGI applications beside a service's own operations, on the door's own server and under uvicorn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from mounted_service import Running, hear, served, service
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from mainstay import limit
from mainstay.app.refusal import Refusal
from mainstay.model.problem import Kind

pytestmark = pytest.mark.parametrize("form", ["native", "uvicorn"])


class Legacy:
    """What happened in the application."""

    def __init__(self) -> None:
        self.lived: list[str] = []
        self.left = asyncio.Event()
        self.read = 0

    def app(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Any) -> AsyncIterator[dict[str, str]]:
            self.lived.append("start")
            yield {"greeting": "hello"}
            self.lived.append("stop")

        names = ("echo", "scope", "later", "stream", "endless", "boom", "cut", "slow", "silent", "unread", "early")
        routes = [Route(f"/{name}", getattr(self, name), methods=["GET", "POST", "OPTIONS"]) for name in names]
        return Starlette(routes=[*routes, Route("/moved", self.scope)], lifespan=lifespan)

    async def echo(self, request: Request) -> Response:
        body = await request.body()
        return Response(body, 201, {"X-Own": "1", "X-Frame-Options": "SAMEORIGIN"}, media_type="text/x-echo")

    async def scope(self, request: Request) -> Response:
        scope = request.scope
        told = {name: scope[name] for name in ("path", "root_path", "scheme", "method", "client", "server")}
        told |= {"raw_path": scope["raw_path"].decode(), "query": scope["query_string"].decode()}
        told |= {"url": str(request.url), "state": request.state.greeting, "headers": dict(request.headers)}
        return JSONResponse(told)

    async def later(self, request: Request) -> Response:
        async def task() -> None:
            await asyncio.sleep(0.05)
            self.later_done.set()

        self.later_done = asyncio.Event()
        return PlainTextResponse("now", background=BackgroundTask(task))

    async def stream(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(5):
                yield f"{number}\n".encode()

        return StreamingResponse(parts(), media_type="text/plain")

    async def endless(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.001)
            finally:
                self.left.set()

        return StreamingResponse(parts())

    async def boom(self, request: Request) -> Response:
        raise RuntimeError("the secret detail")

    async def cut(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the secret detail")

        return StreamingResponse(parts())

    async def slow(self, request: Request) -> Response:
        await asyncio.sleep(60)
        raise AssertionError

    async def silent(self, request: Request) -> Response:
        async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

        return nothing  # type: ignore[return-value]  # an application that says nothing

    async def unread(self, request: Request) -> Response:
        return PlainTextResponse("not read")

    async def early(self, request: Request) -> Response:
        async for chunk in request.stream():
            self.read += len(chunk)
        return PlainTextResponse(str(self.read))


@pytest.fixture
def legacy() -> Legacy:
    return Legacy()


@asynccontextmanager
async def running(legacy: Legacy, folder: Path, form: str, toml: str = "", **mount: Any) -> AsyncIterator[Running]:
    made = service(limits=mount.pop("service_limits", ()))
    made.mount("/legacy", legacy.app(), **mount)
    async with served(made, folder, form, toml) as one:
        yield one


async def test_a_request_and_its_answer(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        answer = await one.ask("POST", "/legacy/echo?a=1", {"X-Request-ID": "r-1"}, b"body" * 50_000)
        assert (answer.status, answer.body) == (201, b"body" * 50_000)
        assert (answer["X-Own"], answer["X-Frame-Options"], answer["X-Request-ID"]) == ("1", "SAMEORIGIN", "r-1")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" not in answer
        assert answer["Content-Length"] == "200000"
        assert (await one.ask("GET", "/own")).json == "own"
        call = await one.told("mount:/legacy")
        assert (call.status, call.kind, call.method, call.target, call.request_id, call.protocol) == (
            201,
            None,
            "POST",
            "/legacy/echo",
            "r-1",
            "asgi",
        )
        assert len(one.ear.calls) == 2
    assert legacy.lived == ["start", "stop"]


async def test_what_the_application_is_told(form: str, legacy: Legacy, tmp_path: Path) -> None:
    toml = 'http.trusted_proxies = ["127.0.0.0/8"]'
    async with running(legacy, tmp_path, form, toml) as one:
        headers = {"Forwarded": "for=198.51.100.9;proto=https;host=www.shop.example", "Cookie": "a=1"}
        told = (await one.ask("GET", "/legacy/scope?q=%20x", {**headers, "X-Request-ID": "<bad>"})).json
        assert (told["path"], told["raw_path"], told["root_path"]) == ("/legacy/scope", "/legacy/scope", "/legacy")
        assert (told["scheme"], told["client"][0], told["query"]) == ("https", "198.51.100.9", "q=%20x")
        assert told["url"] == "https://www.shop.example/legacy/scope?q=%20x"
        assert (told["server"], told["state"]) == (["www.shop.example", 443], "hello")
        assert told["headers"]["cookie"] == "a=1"
        assert told["headers"]["x-request-id"] != "<bad>"
        assert "connection" not in told["headers"]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/legacy/../own", 400),
        ("/legacy/%2e%2e/own", 400),
        ("/legacy/%2E./own", 400),
        ("/legacy/..%2fown", 400),
        ("/legacy/a%2f..%2f..%2fown", 400),
        ("/legacy/..%5cown", 400),
        ("/legacy/./scope", 400),
        ("/legacy/scope%00", 400),
        ("/legacy/%ff", 400),
        ("/%6cegacy/scope", 200),
        ("/legacy/scope", 200),
        ("/legacyscope", 404),
        ("//legacy/scope", 404),
        ("/legacy//scope", 404),
        ("/legacy/unknown", 404),
        ("/LEGACY/scope", 404),
    ],
)
async def test_paths(form: str, legacy: Legacy, tmp_path: Path, target: str, status: int) -> None:
    async with running(legacy, tmp_path, form) as one:
        answer = await one.ask("GET", target)
        assert answer.status == status
        if status == 200:
            assert (answer.json["path"], answer.json["raw_path"]) == ("/legacy/scope", "/legacy/scope")


async def test_own_routes_win_and_the_rest_is_passed_on(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        assert (await one.ask("GET", "/legacy/moved")).json == "moved"
        assert (await one.ask("POST", "/legacy/moved", {}, b"")).status == 405
        assert (await one.ask("OPTIONS", "/legacy/moved"))["Allow"] == "GET, HEAD, OPTIONS"
        assert [call.operation for call in one.ear.calls] == ["moved", "mount:/legacy"]


async def test_a_stream_and_head(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        assert (await one.ask("GET", "/legacy/stream")).body == b"0\n1\n2\n3\n4\n"
        head = await one.ask("HEAD", "/legacy/unread")
        assert (head.status, head["Content-Length"], head.body) == (200, "8", b"")
        assert (await one.ask("HEAD", "/legacy/stream")).status == 200


async def test_work_behind_the_answer_is_done(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        assert (await one.ask("GET", "/legacy/later")).body == b"now"
        assert not legacy.later_done.is_set()
    assert legacy.later_done.is_set(), "the service ends behind it"


async def test_a_client_that_leaves_is_told(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        reader, writer = await one.open()
        writer.write(b"GET /legacy/endless HTTP/1.1\r\nHost: t\r\n\r\n")
        await reader.readexactly(5000)
        writer.transport.abort()
        await asyncio.wait_for(legacy.left.wait(), 5)
        call = await one.told("mount:/legacy")
        assert call.kind is Kind.LEFT


async def test_faults_of_the_application(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        for path in ("boom", "silent"):
            answer = await one.ask("GET", f"/legacy/{path}")
            assert answer.status == 500
            assert b"secret" not in answer.body
        assert isinstance(one.ear.calls[1].error, RuntimeError)
        assert one.ear.calls[1].kind is Kind.INTERNAL
        assert answer.json["code"] == "internal_error"


async def test_an_answer_that_breaks_is_not_taken_for_whole(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await one.ask("GET", "/legacy/cut")
        assert (await one.told("mount:/legacy")).kind is Kind.INTERNAL


async def test_an_answer_has_to_begin_in_time(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form, deadline=0.05) as one:
        answer = await one.ask("GET", "/legacy/slow")
        assert (answer.status, answer.json["code"]) == (504, "deadline_exceeded")


async def test_a_body_is_bounded(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form, max_body=1000) as one:
        answer = await one.ask("POST", "/legacy/echo", {}, b"x" * 1001)
        assert (answer.status, answer.json["code"]) == (413, "too_large")
        chunked = b"".join(b"100\r\n" + b"x" * 256 + b"\r\n" for _ in range(8)) + b"0\r\n\r\n"
        answer = await one.ask("POST", "/legacy/echo", {"Transfer-Encoding": "chunked"}, chunked)
        assert answer.status == 413
        assert [call.code for call in one.ear.calls] == ["too_large"] * 2
        assert (await one.ask("POST", "/legacy/echo", {}, b"x" * 1000)).status == 201


async def test_a_body_that_nobody_reads(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        assert (await one.ask("POST", "/legacy/unread", {}, b"x" * 300_000)).body == b"not read"


async def test_limits_of_the_service_and_of_the_mount(form: str, legacy: Legacy, tmp_path: Path) -> None:
    rules = {"service_limits": [limit("3/minute", by="address")], "limits": [limit("100/minute", by="global")]}
    async with running(legacy, tmp_path, form, **rules) as one:
        answers = [await one.ask("GET", "/legacy/unread") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json["code"] == "rate_limited"
        assert "Retry-After" in answers[3]
        assert "RateLimit" in answers[0]


async def test_hosts_and_cors_of_the_service(form: str, legacy: Legacy, tmp_path: Path) -> None:
    toml = 'http.hosts = ["shop.example"]\ncors.origins = ["https://page.example"]'
    async with running(legacy, tmp_path, form, toml) as one:
        assert (await one.ask("GET", "/legacy/unread", {"Host": "evil.example"})).status == 421
        answer = await one.ask("GET", "/legacy/unread", {"Origin": "https://page.example"})
        assert "Access-Control-Allow-Origin" not in answer, "whom it lets read is for the application to say"


async def test_many_at_a_time(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        bodies = [f"{number}".encode() * 3000 for number in range(30)]
        answers = await asyncio.gather(*(one.ask("POST", "/legacy/echo", {}, body) for body in bodies))
        assert [answer.body for answer in answers] == bodies


async def test_an_application_at_the_root_gets_what_is_not_the_services(
    form: str, legacy: Legacy, tmp_path: Path
) -> None:
    made = service()
    made.mount("/", legacy.app())
    deeper = FastAPI()

    @deeper.get("/who")
    async def who() -> str:
        return "deeper"

    made.mount("/scope/deep", deeper)
    async with served(made, tmp_path, form) as one:
        assert (await one.ask("GET", "/own")).json == "own"
        assert (await one.ask("GET", "/scope")).json["root_path"] == ""
        assert (await one.ask("GET", "/scope/deep/who")).json == "deeper"
        assert (await one.ask("GET", "/health")).json == {"status": "alive"}
        assert (await one.ask("GET", "/scope/../own")).status == 400


async def test_the_docs_of_a_fastapi_application(form: str, tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: str) -> dict[str, str]:
        return {"item": item}

    made = service()
    made.mount("/api", app)
    async with served(made, tmp_path, form) as one:
        assert (await one.ask("GET", "/api/items/%C5%BC")).json == {"item": "ż"}
        assert b"/api/openapi.json" in (await one.ask("GET", "/api/docs")).body
        assert (await one.ask("GET", "/api/openapi.json")).json["servers"] == [{"url": "/api"}]


async def test_a_start_that_fails_ends_the_start_of_the_service(form: str, tmp_path: Path) -> None:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        raise OSError("its database is away")
        yield

    made = service()
    made.mount("/legacy", Starlette(lifespan=lifespan))
    with pytest.raises(Refusal, match="mount:/legacy did not start: OSError: its database is away"):
        async with served(made, tmp_path, form):
            pass


async def test_an_application_without_lifespan(form: str, tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"1"), (b"A", b"2")]})
        await send({"type": "http.response.body", "body": json.dumps(sorted(scope)).encode()})

    made = service()
    made.mount("/bare", app)
    async with served(made, tmp_path, form) as one:
        answer = await one.ask("GET", "/bare")
        assert (answer.status, answer.all("a")) == (200, ["1", "2"])
        assert [notice.event for notice in one.ear.notices if "mount" in notice.event] == ["mount_without_lifespan"]


async def test_a_client_may_wait_to_be_asked_for_its_body(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        reader, writer = await one.open()
        writer.write(b"POST /legacy/early HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await hear(reader)).body == b"3"
        writer.close()


async def test_requests_one_after_another_on_a_connection(form: str, legacy: Legacy, tmp_path: Path) -> None:
    async with running(legacy, tmp_path, form) as one:
        reader, writer = await one.open()
        for method, path, body in (
            ("GET", "/legacy/stream", b"0\n1\n2\n3\n4\n"),
            ("HEAD", "/legacy/stream", b""),
            ("HEAD", "/legacy/unread", b""),
            ("POST", "/legacy/echo", b"abc"),
            ("GET", "/legacy/nothing", b"Not Found"),
            ("POST", "/legacy/unread", b"not read"),
            ("GET", "/own", b'"own"'),
        ):
            length = "Content-Length: 3\r\n\r\nabc" if method == "POST" else "\r\n"
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: t\r\n{length}".encode())
            assert (await asyncio.wait_for(hear(reader, method), 5)).body == body
        writer.close()
