"""A WSGI application (PEP 3333) as an ASGI 3 application: each request runs on a thread of a bounded pool."""

from __future__ import annotations

import asyncio
import io
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from mainstay.inbound.http.mounts import Receive, Scope, Send
from mainstay.model.problem import Unavailable

_MAX_LOG = 8192  # characters of one text for wsgi.errors

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Tell = Callable[[str], None]


class _Pool:
    """Threads that are made as they are needed. They are daemons: one that is stuck does not keep the process."""

    def __init__(self, size: int, waiting: int) -> None:
        self._size = size
        self._most = size + waiting
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0
        self._closed = False

    def open(self) -> None:
        """Take jobs, again if need be."""
        self._closed = False

    def run(self, job: Callable[[], None], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Run a job on a thread. Raises ``Unavailable`` where as many wait already as may, and behind the end."""
        if self._closed:
            raise Unavailable("this application has ended", retry_after=1)
        if self._busy >= self._most:
            raise Unavailable("all threads of this application are busy", retry_after=1)
        self._busy += 1
        if self._threads < min(self._size, self._busy):
            self._threads += 1
            threading.Thread(target=self._work, name=f"mainstay-wsgi-{self._threads}", daemon=True).start()
        ended: asyncio.Future[None] = loop.create_future()
        self._jobs.put(partial(self._do, job, loop, ended))
        return ended

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def close(self) -> None:
        """Let the threads end, each behind what it is at. No job is taken any more: a thread for it would never end."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0

    def _do(self, job: Callable[[], None], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        error: BaseException | None = None
        try:
            job()
        except BaseException as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._end, ended, error)

    def _end(self, ended: asyncio.Future[None], error: BaseException | None) -> None:
        self._busy -= 1
        if ended.done():
            return  # it was given up meanwhile
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}"))


class WsgiApp:
    """The adapter. ``threads`` requests run at a time and ``waiting`` more wait for one; beyond, 503.

    ``tell`` is given, on the loop, what the application writes to ``wsgi.errors``.
    """

    def __init__(self, app: Wsgi, *, threads: int = 16, waiting: int = 64, tell: Tell = lambda _: None) -> None:
        self._app = app
        self._pool = _Pool(threads, waiting)
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the service's life. Other scopes are refused with ``RuntimeError``: WSGI has none."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"scope {scope['type']!r} is not served by a WSGI application")
        loop = asyncio.get_running_loop()
        run = _Run(self._app, scope, receive, send, loop, self._tell)
        await self._pool.run(run, loop)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._pool.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Input(io.RawIOBase):
    """``wsgi.input``: the body as it arrives. It ends with the body."""

    def __init__(self, receive: Callable[[], Any]) -> None:
        self._receive = receive
        self._rest = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for input, and fill the buffer with what there is. Raises ``OSError`` where the body breaks off."""
        while not self._rest and not self._ended:
            message = self._receive()
            if message["type"] == "http.disconnect":
                raise OSError("the client left before the end of the body")
            self._rest = message.get("body", b"")
            self._ended = not message.get("more_body", False)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _Errors(io.TextIOBase):
    """``wsgi.errors``: each text is told to the service's log."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Tell a text, cut to a bound."""
        if said := text.strip()[:_MAX_LOG]:
            self._tell(said)
        return len(text)


class _Run:
    """One request, on its thread."""

    def __init__(
        self, app: Wsgi, scope: Scope, receive: Receive, send: Send, loop: asyncio.AbstractEventLoop, tell: Tell
    ) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = loop
        self._tell = tell
        self._begun: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._sent = False

    def __call__(self) -> None:
        """Run the application to the end of its answer."""
        errors = _Errors(lambda text: void(self._loop.call_soon_threadsafe(self._tell, text)))
        body = io.BufferedReader(_Input(lambda: self._wait(self._receive())))
        result = self._app(environ_of(self._scope, body, errors), self._start_response)
        try:
            self._pass_on(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _wait(self, what: Any) -> Any:
        """Have the loop do something, and wait for it."""
        coroutine: Coroutine[Any, Any, Any] = what
        if self._loop.is_closed():
            coroutine.close()
            raise OSError("the service has ended")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
        if exc_info:
            try:
                if self._sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle through the traceback
        elif self._begun is not None:
            raise AssertionError("start_response was called before, and without exc_info")
        code, _, _ = status.partition(" ")
        if len(code) != 3 or not code.isascii() or not code.isdigit():
            raise ValueError("start_response: expected a status like '200 OK'")
        self._begun = int(code), [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self._write

    def _write(self, data: bytes) -> None:
        """Send a part of the body at once (the ``write`` of old applications)."""
        if data:
            self._out(data, more=True)

    def _pass_on(self, result: Iterable[bytes]) -> None:
        if isinstance(result, list | tuple) and len(result) == 1:  # the usual case: one hop to the loop
            self._out(result[0], more=False)
            return
        for part in result:
            if part:
                self._out(part, more=True)
        self._out(b"", more=False)

    def _out(self, part: bytes, *, more: bool) -> None:
        if not isinstance(part, bytes | bytearray):
            raise TypeError(f"a WSGI application gives bytes, not {type(part).__name__}")
        if self._begun is None:
            raise AssertionError("the application answers before start_response was called")
        head = None if self._sent else self._begun
        self._sent = True
        self._wait(self._send_both(head, bytes(part), more))

    async def _send_both(self, head: tuple[int, list[tuple[bytes, bytes]]] | None, part: bytes, more: bool) -> None:
        if head is not None:
            await self._send({"type": "http.response.start", "status": head[0], "headers": head[1]})
        await self._send({"type": "http.response.body", "body": part, "more_body": more})


def void(_: object) -> None:
    """Take anything, for callables that return nothing."""


def environ_of(scope: Scope, body: Any, errors: Any) -> dict[str, Any]:
    """Return the environment of a request (PEP 3333): text is bytes as Latin-1.

    A field whose name has an underscore is left out: it could not be told from another with a hyphen.
    """
    root: str = scope["root_path"]
    host, port = scope["server"] or ("localhost", 443 if scope["scheme"] == "https" else 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _latin(root),
        "PATH_INFO": _latin(scope["path"].removeprefix(root)),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope["client"]:
        environ["REMOTE_ADDR"] = scope["client"][0]
    for name, value in scope["headers"]:
        if b"_" in name:
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value.decode("latin-1")
    return environ


def _latin(text: str) -> str:
    return text.encode().decode("latin-1")
