"""The shop of the examples, served: assembled as a process would, on a socket and as ASGI, with clients for both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import uvloop
from http_clients import Answered, Mounted, Wire
from mysql_databases import make_database
from postgres_schemas import make_schema

from mainstay import Service
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.observe.fanout import Fanout
from mainstay.adapters.observe.log import LogObserver
from mainstay.adapters.observe.sink import Sink
from mainstay.app.assembly import Application, Place, assemble, dependencies
from mainstay.app.credentials import development_token
from mainstay.app.documents import documents_of
from mainstay.app.doors import make_doors
from mainstay.app.importing import import_service
from mainstay.app.objects import make_blobs
from mainstay.app.observing import Observing
from mainstay.app.registry import find
from mainstay.app.seeding import seed
from mainstay.app.servers.contract import Facing, Server
from mainstay.app.settings import Settings, load
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.problems import STATUS
from mainstay.inbound.http.server import HttpServer, listen
from mainstay.kernel.bind import bind
from mainstay.model.limits import Limit
from mainstay.ports.limiter import Limiter, Verdict
from mainstay.ports.observer import CallEnded, Notice, Observation, Observer

SHOP = Path(__file__).parents[2] / "examples" / "shop"
_SECRETS = {
    "MAINSTAY_AUTH_KEY": "a signing key that only tests know, long enough",
    "MAINSTAY_SEALING_SECRET": "a sealing secret that only tests know, long enough",
}
PATIENCE = 20.0  # seconds for one answer: more is a hang


class Person:
    """Somebody who calls: their token, and the id that rows know them by."""

    def __init__(self, number: int, *roles: str) -> None:
        self.id = UUID(int=number << 80 | 0x7 << 76 | 0b10 << 62)
        self.roles = roles
        self.token = ""

    def __repr__(self) -> str:
        return f"{'/'.join(self.roles) or 'nobody'} {self.id}"


class Generous(Limiter):
    """Allows everything: what is tested is not how often it may be tried."""

    def charge(self, charges: Sequence[tuple[Limit, str]], *, cost: int = 1) -> Sequence[Verdict]:
        return [Verdict(limit, True, limit.quota, 0.0, 0.0) for limit, _ in charges]

    def peek(self, charges: Sequence[tuple[Limit, str]]) -> Sequence[Verdict]:
        return self.charge(charges)


class Troubles(Observer):
    """Keeps what no input may cause: a 5xx, an answer that could not be made, a warning."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def observe(self, observation: Observation) -> None:
        if isinstance(observation, Notice):
            if observation.level in ("warning", "error"):
                self.seen.append(f"{observation.event}: {observation.message} {observation.error!r}")
        elif isinstance(observation, CallEnded) and observation.kind is not None and STATUS[observation.kind] >= 500:
            self._failed(observation)

    def _failed(self, call: CallEnded) -> None:
        self.seen.append(f"{call.operation} {call.method} {call.target}: {call.code} {call.error!r}")


def settings_for(url: str, root: Path = SHOP, **flags: Any) -> Settings:
    """Return the settings of a throw-away service: the test profile, tables made on the fly."""
    values = {"database.url": url, "database.create": True, "database.synchronous": "off", **flags}
    return load(root, environ=_SECRETS, flags=values, profile="test")


class Running:
    """A service that runs in a thread of its own until ``stop``; its clients may be called from any other."""

    def __init__(self, settings: Settings, service: Service, *, limited: bool = False, seeds: bool = True) -> None:
        self.settings = settings
        self.service = service
        self.troubles = Troubles()
        self._limited = limited
        self._seeds = seeds
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._wires: list[Wire] = []
        self._others: dict[str, tuple[Server, tuple[str, int]]] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait(PATIENCE)
        if self._error is not None:
            self._thread.join()
            raise self._error

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                self._error = error
            finally:
                self._ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        quiet = os.open(os.devnull, os.O_WRONLY)
        sink = Sink(quiet)
        log = LogObserver(sink, SystemClock(), STATUS, level="info", pretty=False)
        observing = Observing(log, sink)
        self.application = self._assemble(Fanout((self.troubles, observing.observer)))
        documents = documents_of(self.application.bound)
        doors = make_doors(self.application, observing=observing, siblings=None, documents=documents)
        self.door: Door = doors.main
        async with self.application:
            if self._seeds:
                await seed(self.application.bound)
            observing.watch(self.application)
            server = HttpServer(self.door, self.application.ports.clock)
            await server.start(listen("127.0.0.1", 0))
            self.address = server.addresses[0]
            self.app = AsgiApp(self.door)
            self._ready.set()
            await self._end.wait()
            await server.stop()
            for other, _ in self._others.values():
                await other.finish(0.01, PATIENCE)
        observing.close()
        os.close(quiet)

    def _assemble(self, observer: Observer) -> Application:
        made = assemble(self.service, self.settings, observer=observer)
        if self._limited:
            return made
        ports = msgspec.structs.replace(made.ports, limiter=Generous())
        known = dependencies(ports.clock, make_blobs(self.settings, ports.clock))
        bound = bind(self.service, ports, known=known, secrets=self.settings.secrets)
        return Application(self.settings, bound, Place())

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://{self.address[0]}:{self.address[1]}"

    def token(self, person: Person, **options: Any) -> str:
        """Return a token of a person that this service believes."""
        now = options.pop("now", SystemClock().time())
        return development_token(self.settings, now=now, subject=str(person.id), roles=person.roles, **options)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the service's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def socket_client(self) -> SocketClient:
        """Return a client that speaks HTTP/1.1 over one connection, opened anew where the service closed it."""
        return SocketClient(self)

    def other_client(self, name: str) -> SocketClient:
        """Return such a client for another server of the same door, which is started when it is first asked for."""
        if name not in self._others:
            self._others[name] = self.run(self._serve_by(name))
        return SocketClient(self, self._others[name][1])

    async def _serve_by(self, name: str) -> tuple[Server, tuple[str, int]]:
        ports = self.application.ports
        server: Server = find("server", name)(Facing(self.door, ports.clock, ports.observer, self.settings))
        (one,) = listen("127.0.0.1", 0)
        address = one.getsockname()
        await server.start([one])
        return server, address

    def asgi_client(self) -> AsgiClient:
        """Return a client that calls the ASGI application."""
        return AsgiClient(self)

    def wire(self, address: tuple[str, int] | None = None) -> Wire:
        """Return a new connection."""
        wire = Wire(address or self.address)
        wire.socket.settimeout(PATIENCE)
        self._wires.append(wire)
        return wire

    def stop(self) -> None:
        """End, and raise what the service ended with."""
        for wire in self._wires:
            wire.close()
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the service did not end"
        if self._error is not None:
            raise self._error


Body = bytes | Mapping[str, Any] | Sequence[Any] | None


class Client:
    """What both clients have in common. ``ask`` adds the token of ``who``, and encodes a body that is no bytes."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._tokens: dict[tuple[UUID, tuple[str, ...]], str] = {}

    def ask(
        self,
        method: str,
        target: str,
        who: Person | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """Send one request and return its answer."""
        fields = dict(headers or {})
        if who is not None:
            known = (who.id, who.roles)
            if known not in self._tokens:
                self._tokens[known] = self.running.token(who)
            fields.setdefault("Authorization", f"Bearer {self._tokens[known]}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            usual = "application/merge-patch+json" if method == "PATCH" else "application/json"
            fields.setdefault("Content-Type", usual)
            fields.setdefault("Content-Length", str(len(body)))
        return self._send(method, target, fields, body)

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answered:
        raise AssertionError

    def get(self, target: str, who: Person | None = None, **headers: str) -> Answered:
        """GET, header names with underscores for hyphens."""
        return self.ask("GET", target, who, headers={name.replace("_", "-"): held for name, held in headers.items()})


class SocketClient(Client):
    """HTTP/1.1 over a socket."""

    def __init__(self, running: Running, address: tuple[str, int] | None = None) -> None:
        super().__init__(running)
        self._address = address
        self._wire: Wire | None = None

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answered:
        fields = {"Host": "test", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")
        kept = self._wire is not None
        wire = self._wire or self.running.wire(self._address)
        try:
            answer = self._one(wire, method, request)
        except (EOFError, ConnectionError):
            if not kept:
                raise
            wire = self.running.wire(self._address)
            answer = self._one(wire, method, request)
        closing = "close" in [value.lower() for value in answer.all("connection")]
        if closing:
            wire.close()
        self._wire = None if closing else wire
        return answer

    @staticmethod
    def _one(wire: Wire, method: str, request: bytes) -> Answered:
        with contextlib.suppress(ConnectionError):  # it was refused before it was all sent: the answer is there
            wire.say(request)
        return wire.hear(method)


class _Held:
    """What the ASGI client of the door's own tests takes for a service."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def door(self, _options: Any) -> Door:
        return self._door


class AsgiClient(Client):
    """ASGI, as a server would call it."""

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        sample: Any = _Held(running.door)
        options: Any = None
        self._mounted = Mounted(sample, options)

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> Answered:
        made = self._mounted._ask(method, target, {"Host": "test", **headers}, body or b"")
        answer: Answered = self.running.run(made)
        return answer


def shop_service(settings: Settings) -> Service:
    """Return the shop."""
    return import_service(settings)


def run_shop(directory: Path, *, store: str = "sqlite", **options: Any) -> Running:
    """Serve the shop, its rows in ``directory``, in memory, or in a schema or database named after it."""
    settings = settings_on(store, directory)
    return Running(settings, shop_service(settings), **options)


def settings_on(store: str, directory: Path, root: Path = SHOP, **flags: Any) -> Settings:
    """Return the settings of a service whose rows are in a folder, in memory, or in a schema or database of its own."""
    if store == "mysql":
        return settings_for(make_database(directory), root, **flags)
    if store == "postgresql":
        url, schema = make_schema(directory)
        return settings_for(url, root, **{"database.schema": schema, **flags})
    return settings_for("memory:" if store == "memory" else f"sqlite:///{directory / 'shop.sqlite'}", root, **flags)


Serve = Callable[..., Running]
