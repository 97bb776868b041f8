"""Clients for the forms of the HTTP door: its own protocol on a socket, other servers on a socket, and plain ASGI."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvloop
from http_sample import Sample

from mainstay.app.registry import find
from mainstay.app.servers.contract import Facing
from mainstay.app.settings.model import Http, Settings
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.server import HttpServer, listen


class Answered:
    """An answer as a client sees it."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def all(self, name: str) -> list[str]:
        """Return the values of a header field."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values}"
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Wire:
    """A connection of a client that says exactly what it is told to say."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self._buffer = b""

    def say(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError(f"the server closed; what came before: {self._buffer!r}")
            self._buffer += more
        taken, _, self._buffer = self._buffer.partition(mark)
        return taken

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the server closed in a body")
            self._buffer += more
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def hear(self, method: str = "GET") -> Answered:
        """Read one answer."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        answer = Answered(status, headers, b"")
        if method == "HEAD" or status in (100, 204, 304):
            return answer
        if answer.all("transfer-encoding") == ["chunked"]:
            while size := int(self._until(b"\r\n"), 16):
                answer.body += self._exactly(size)
                assert self._exactly(2) == b"\r\n"
            assert self._exactly(2) == b"\r\n"
        elif "content-length" in answer:
            answer.body = self._exactly(int(answer["content-length"]))
        else:
            answer.body = self.rest()
        return answer

    def count(self, mark: bytes, times: int) -> bool:
        """Read until a text has come so many times; False where the server ends before."""
        seen, tail = self._buffer.count(mark), self._buffer
        while seen < times:
            more = self.socket.recv(1 << 20)
            if not more:
                return False
            tail = tail[1 - len(mark) :] if len(tail) >= len(mark) else tail
            seen += (tail + more).count(mark)
            tail = more
        return True

    def rest(self) -> bytes:
        """Read to the end of the connection."""
        try:
            while more := self.socket.recv(65536):
                self._buffer += more
        except ConnectionResetError:
            pass
        taken, self._buffer = self._buffer, b""
        return taken

    def close(self) -> None:
        """Leave."""
        self.socket.close()


class Served:
    """The door on a socket, in a thread of its own."""

    def __init__(self, sample: Sample, options: HttpOptions, loop: str) -> None:
        self.sample = sample
        self._wires: list[Wire] = []
        self._ready = threading.Event()
        self._options = options
        self._drained: bool | None = None
        self._asked = False
        new_loop = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        self._thread = threading.Thread(target=self._run, args=(new_loop,))
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self.door = self.sample.door(self._options)
        self.server = self._make_server()
        (one,) = listen("127.0.0.1", 0)
        self.address = one.getsockname()
        self.listener = one.dup()
        await self.server.start([one])
        self._ready.set()
        with self.listener:
            await self._end.wait()
        self._drained = await self._leave()

    def _make_server(self) -> Any:
        return HttpServer(self.door, self.sample.clock)

    async def _leave(self) -> bool:
        drained: bool = await self.server.stop()
        return drained

    def wire(self) -> Wire:
        """Return a new connection."""
        wire = Wire(self.address)
        self._wires.append(wire)
        return wire

    def ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answered:
        """Send one request on a connection of its own, and return its answer."""
        fields = {"Host": "test", "Connection": "close", **(headers or {})}
        if body is not None:
            fields.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        wire = self.wire()
        wire.say(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""))
        try:
            return wire.hear(method)
        finally:
            wire.close()

    def begin_stop(self) -> None:
        """Ask the server to drain, once: when it has drained its loop is closed."""
        if not self._asked:
            self._asked = True
            self.loop.call_soon_threadsafe(self._end.set)

    def stop(self) -> bool | None:
        """Drain, and return whether all came to its end."""
        self.sample.gate.set()
        if self._thread.is_alive():
            self.begin_stop()
        for wire in self._wires:
            wire.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self._drained


class Foreign(Served):
    """The door on a socket, served by another server of the registry, on a loop of this thread."""

    def __init__(self, sample: Sample, options: HttpOptions, server: str) -> None:
        self._name = server
        super().__init__(sample, options, "uvloop")

    def _make_server(self) -> Any:
        wanted = self._options
        http = Http(
            server=self._name,  # type: ignore[arg-type]  # one of the names that there are
            backlog=wanted.backlog,
            max_header=wanted.max_header_bytes,
            max_target=wanted.max_target_bytes,
            header_seconds=wanted.header_timeout,
            idle_seconds=wanted.keep_alive_timeout,
        )
        clock, observer = self.sample.clock, self.sample.recorder
        return find("server", self._name)(Facing(self.door, clock, observer, Settings(http=http)))

    async def _leave(self) -> bool:
        self.door.draining = True
        self.server.part()
        await asyncio.sleep(self._options.drain_delay)
        self.server.refuse()
        drained: bool = await self.server.finish(0.05, self._options.drain_timeout)
        return drained


class Mounted:
    """The door as an ASGI application, called as a server would call it."""

    def __init__(self, sample: Sample, options: HttpOptions) -> None:
        self.sample = sample
        self.door = sample.door(options)
        self.app = AsgiApp(self.door)

    def ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answered:
        """Send one request, its body in two parts, and return its answer."""
        fields = {"Host": "test", **(headers or {})}
        if body is not None:
            fields.setdefault("Content-Length", str(len(body)))
        return asyncio.run(self._ask(method, target, fields, body or b""))

    async def _ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answered:
        path, _, query = target.removeprefix("http://test").partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 4000),
        }
        half = len(body) // 2
        incoming = [
            {"type": "http.request", "body": body[:half], "more_body": True},
            {"type": "http.request", "body": body[half:], "more_body": False},
        ]
        outgoing: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            outgoing.append(message)

        await self.app(scope, receive, send)
        start, *parts = outgoing
        assert parts[-1].get("more_body", False) is False
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return Answered(start["status"], fields, b"".join(part.get("body", b"") for part in parts))

    def stop(self) -> None:
        """Nothing is left open."""
