"""WSGI applications beside a service's own operations (PEP 3333)."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask, request
from mounted_service import Running, served, service

from mainstay.model.problem import Kind

pytestmark = pytest.mark.parametrize("form", ["native", "uvicorn"])

Start = Callable[..., Any]


@asynccontextmanager
async def running(app: Any, folder: Path, form: str, toml: str = "", **mount: Any) -> AsyncIterator[Running]:
    made = service()
    made.mount("/legacy", app, **mount)
    async with served(made, folder, form, toml) as one:
        yield one


class Closing:
    """An iterable that counts how often it is closed."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = parts
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed += 1


async def test_a_flask_application(form: str, tmp_path: Path) -> None:
    app = Flask("legacy")

    @app.route("/echo", methods=["POST"])
    def echo() -> tuple[bytes, int, dict[str, str]]:
        return request.get_data(), 201, {"X-Own": request.args["a"]}

    @app.route("/where/<path:rest>")
    def where(rest: str) -> dict[str, Any]:
        found = {"rest": rest, "root": request.script_root, "url": request.url, "peer": request.remote_addr}
        return found | {"scheme": request.scheme}

    @app.route("/boom")
    def boom() -> str:
        raise RuntimeError("the secret detail")

    async with running(app, tmp_path, form, 'http.trusted_proxies = ["127.0.0.0/8"]') as one:
        answer = await one.ask("POST", "/legacy/echo?a=1", {"Content-Type": "text/plain"}, b"x" * 200_000)
        assert (answer.status, answer.body, answer["X-Content-Type-Options"]) == (201, b"x" * 200_000, "nosniff")
        headers = {"Forwarded": "for=198.51.100.9;proto=https;host=www.shop.example"}
        told = (await one.ask("GET", "/legacy/where/%C5%BC%2Fa?q=1", headers)).json
        assert told == {
            "rest": "ż/a",
            "root": "/legacy",
            "url": "https://www.shop.example/legacy/where/ż/a?q=1",
            "peer": "198.51.100.9",
            "scheme": "https",
        }
        failed = await one.ask("GET", "/legacy/boom")
        assert failed.status == 500
        assert b"secret" not in failed.body
        call = await one.told("mount:/legacy")
        assert (call.status, call.protocol, call.target) == (201, "wsgi", "/legacy/echo")


async def test_a_valid_environment(form: str, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        seen.update(environ)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"fine"]

    async with running(validator(app), tmp_path, form, kind="wsgi") as one:
        headers = {"X-A": "1", "X_Forwarded_For": "6.6.6.6", "Content-Type": "a/b"}
        assert (await one.ask("POST", "/legacy?x=1", headers, b"abc")).body == b"fine"
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("/legacy", "", "x=1")
    assert (seen["HTTP_X_A"], seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("1", "a/b", "3")
    assert "HTTP_X_FORWARDED_FOR" not in seen, "a name with an underscore is not another's"
    assert "HTTP_CONTENT_TYPE" not in seen
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["wsgi.url_scheme"]) == ("shop.example", "80", "http")
    assert seen["REMOTE_ADDR"] == "127.0.0.1"


async def test_what_it_says_of_errors_is_told(form: str, tmp_path: Path) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        environ["wsgi.errors"].write("  \n")
        environ["wsgi.errors"].writelines(["first\n", "x" * 100_000])
        start_response("204 No Content", [])
        return []

    async with running(app, tmp_path, form) as one:
        assert (await one.ask("GET", "/legacy")).status == 204
        said = [notice for notice in one.ear.notices if notice.event == "mount_said"]
        assert [len(notice.message) for notice in said] == [5, 8192]
        assert said[0].facts == {"mount": "mount:/legacy"}


async def test_bodies_are_read_as_they_arrive(form: str, tmp_path: Path) -> None:
    begun, lines = threading.Event(), []

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        lines.append(environ["wsgi.input"].readline())
        begun.set()
        lines.extend(environ["wsgi.input"])
        start_response("200 OK", [])
        return [b"".join(lines)]

    async with running(app, tmp_path, form) as one:
        reader, writer = await one.open()
        writer.write(b"POST /legacy HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        assert await asyncio.to_thread(begun.wait, 5), "the first line is there before the last"
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        assert (await reader.readuntil(b"one\ntwo")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_the_iterable_is_closed_once(form: str, tmp_path: Path) -> None:
    made: list[Closing] = []

    def app(environ: dict[str, Any], start_response: Start) -> Closing:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")

        def parts() -> Iterator[bytes]:
            yield b"a"
            yield b""
            yield b"b"
            if environ["PATH_INFO"] == "/broken":
                raise RuntimeError("broken")

        made.append(Closing(parts()))
        return made[-1]

    async with running(app, tmp_path, form) as one:
        assert (await one.ask("GET", "/legacy")).body == b"written ab"
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await one.ask("GET", "/legacy/broken")
    assert [one.closed for one in made] == [1, 1]


def _twice(start: Start) -> None:
    start("200 OK", [])
    start("200 OK", [])


def _replaced(start: Start) -> None:
    start("200 OK", [("X-First", "1")])
    try:
        raise ValueError("changed its mind")
    except ValueError:
        start("503 Later", [("X-Second", "1")], sys.exc_info())


STARTS: dict[str, Callable[[Start], Any]] = {
    "/twice": _twice,
    "/replaced": _replaced,
    "/injected": lambda start: start("200 OK", [("X-A", "b\r\nX-Evil: 1")]),
    "/name": lambda start: start("200 OK", [("X-A: b\r\nX-Evil", "1")]),
    "/status": lambda start: start("200\r\nX-Evil: 1", []),
    "/text": lambda start: start("200 OK", []),
    "/length": lambda start: start("200 OK", [("Content-Length", "10")]),
    "/hop": lambda start: start("200 OK", [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Date", "x")]),
    "/nothing": lambda start: None,
}


async def test_start_response(form: str, tmp_path: Path) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[Any]:
        STARTS[environ["PATH_INFO"]](start_response)
        return ["text"] if environ["PATH_INFO"] == "/text" else [b"done"]

    async with running(app, tmp_path, form) as one:
        for path in ("twice", "injected", "name", "text", "length", "nothing"):
            answer = await one.ask("GET", f"/legacy/{path}")
            assert (path, answer.status, "X-Evil" in answer) == (path, 500, False)
        assert (await one.ask("GET", "/legacy/status")).status == 500
        replaced = await one.ask("GET", "/legacy/replaced")
        assert (replaced.status, "X-First" in replaced, replaced["X-Second"]) == (503, False, "1")
        hop = await one.ask("GET", "/legacy/hop")
        assert (hop.status, hop.body, hop.all("Transfer-Encoding")) == (200, b"done", [])
        assert hop["Date"] != "x"


async def test_threads_are_bounded(form: str, tmp_path: Path) -> None:
    most, now, lock, gate = [0], [0], threading.Lock(), threading.Event()

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait(5)
        with lock:
            now[0] -= 1
        start_response("200 OK", [])
        return [b"done"]

    async with running(app, tmp_path, form, threads=2) as one:
        asked = [asyncio.create_task(one.ask("GET", "/legacy")) for _ in range(14)]
        while sum(task.done() for task in asked) < 4:
            await asyncio.sleep(0.01)
        gate.set()
        answers = await asyncio.gather(*asked)
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] * 10 + [503] * 4
    assert most == [2]


async def test_an_answer_has_to_begin_in_time(form: str, tmp_path: Path) -> None:
    gate = threading.Event()

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        gate.wait(5)
        start_response("200 OK", [])
        return [b"late"]

    async with running(app, tmp_path, form, deadline=0.05) as one:
        assert (await one.ask("GET", "/legacy")).status == 504
        gate.set()
        assert (await one.told("mount:/legacy")).kind is Kind.DEADLINE


async def test_a_client_that_leaves_ends_a_stream(form: str, tmp_path: Path) -> None:
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                time.sleep(0.001)
                yield b"x" * 1000

        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Start) -> Endless:
        start_response("200 OK", [])
        return Endless()

    async with running(app, tmp_path, form) as one:
        reader, writer = await one.open()
        writer.write(b"GET /legacy HTTP/1.1\r\nHost: t\r\n\r\n")
        await reader.readexactly(3000)
        writer.transport.abort()
        assert await asyncio.to_thread(closed.wait, 5)


async def test_a_body_over_its_bound(form: str, tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            raised.append(error)
            raise
        raise AssertionError

    async with running(app, tmp_path, form, max_body=100) as one:
        body = b"80\r\n" + b"x" * 128 + b"\r\n0\r\n\r\n"
        answer = await one.ask("POST", "/legacy", {"Transfer-Encoding": "chunked"}, body)
        assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert len(raised) == 1
