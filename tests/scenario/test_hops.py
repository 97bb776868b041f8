"""The way of one request is at most eight hops long. Whoever lengthens it must come by here.

A GET of one row by its id is fed to the protocol, on a production assembly over SQLite, while every Python function
that begins is noted. A hop is a stay in one of the places that the design names; a module that belongs to none of them
is one hop too many.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mainstay import Entity, Module, Repository, Service, anyone
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.observe.log import LogObserver
from mainstay.adapters.observe.sink import Sink
from mainstay.app.assembly import Application, assemble
from mainstay.app.doors import make_doors
from mainstay.app.observing import Observing
from mainstay.app.settings import load
from mainstay.inbound.http.connections import Connections
from mainstay.inbound.http.problems import STATUS
from mainstay.inbound.http.protocol import HttpProtocol

PACKAGE = str(Path(sys.modules["mainstay"].__file__ or "").parent) + os.sep

# The way of one request as the design has it: each hop, and the modules that it may stay in.
HOPS: dict[str, tuple[str, ...]] = {
    "1 protocol": ("inbound/http/", "adapters/local/ids"),
    "2 dispatch": ("kernel/dispatch", "kernel/stages", "kernel/guard/", "kernel/validate/"),
    "3 invoke": ("kernel/invoke", "kernel/scope", "kernel/providers", "ports/unit_of_work"),
    "4 use case": ("use case",),
    "5 repository": ("ports/repository",),
    "6 store": ("adapters/sql/",),
    "7 reply, observation": ("kernel/render/", "adapters/observe/"),
    "8 encoding": ("inbound/http/encode", "inbound/http/wire", "inbound/http/conditional"),
}
# Asked in passing: what answers at once and goes nowhere else.
IN_PASSING = ("adapters/local/clock", "library")
MOST_CALLS = 85  # Python functions that a request may enter: 74 when this was written

pantry = Module("pantry")


class Jar(Entity):
    label: str


@pantry.query("GET /jars/{jar_id}", allow=anyone)
async def get_jar(jar_id: UUID, jars: Repository[Jar]) -> Jar:
    return await jars.get(jar_id)


@pantry.command("POST /jars", status=201, allow=anyone)
async def add_jar(jars: Repository[Jar], label: str) -> Jar:
    return await jars.add(Jar(label=label))


service = Service("pantry", version="1.0.0", modules=[pantry])


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 40000) if name == "peername" else default


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[tuple[Application, Observing]]:
    flags = {"database.url": f"sqlite:////{tmp_path}/pantry.sqlite3", "database.create": True}
    settings = load(tmp_path, environ={}, flags=flags, profile="test")
    sink = Sink(os.open(os.devnull, os.O_WRONLY))
    observing = Observing(LogObserver(sink, SystemClock(), STATUS, level="info", pretty=False), sink)
    async with assemble(service, settings, observer=observing.observer) as made:
        yield made, observing
    observing.close()


@pytest.fixture
async def request_of(application: tuple[Application, Observing]) -> AsyncIterator[Callable[[], list[str]]]:
    """Make the request, and return the modules of the functions that it enters, in order."""
    made, observing = application
    doors = make_doors(made, observing=observing, siblings=None, documents={})
    protocol, wire = HttpProtocol(Connections(doors.main, made.ports.clock), asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    body = b'{"label": "plum"}'
    head = b"POST /jars HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    protocol.data_received(head % len(body) + body)
    async with asyncio.timeout(5):
        while not wire.written:
            await asyncio.sleep(0.001)
    location = wire.written.pop().partition(b"Location: ")[2].partition(b"\r\n")[0]
    request = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % location
    protocol.data_received(request)  # the first of its kind fills caches

    def follow() -> list[str]:
        wire.written.clear()
        modules = followed(protocol, request)
        assert wire.written[0].startswith(b"HTTP/1.1 200 OK")
        assert b"plum" in wire.written[0]
        return modules

    yield follow
    protocol.connection_lost(None)


def followed(protocol: HttpProtocol, request: bytes) -> list[str]:
    """Return the module of each function of Python that begins or goes on, from the bytes to the written answer."""
    modules: list[str] = []
    own = get_jar.__code__

    def note(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_name == "__init__":  # what is made is no stay: going there is
            return
        name = code.co_filename
        modules.append(
            name.removeprefix(PACKAGE) if name.startswith(PACKAGE) else "use case" if code is own else "library"
        )

    sys.setprofile(note)
    try:
        protocol.data_received(request)
    finally:
        sys.setprofile(None)
    return modules[: len(modules) - modules[::-1].index("inbound/http/wire.py")]


def hops_of(modules: Sequence[str]) -> list[str]:
    """Return the hops in the order of their first stay; a module that belongs to none is a hop of its own."""
    places = sorted(((place, hop) for hop, places in HOPS.items() for place in places), key=lambda pair: -len(pair[0]))
    found = (
        next((hop for place, hop in places if module.startswith(place)), module)
        for module in modules
        if not module.startswith(IN_PASSING)
    )
    return list(dict.fromkeys(found))


def test_a_request_takes_the_eight_hops_of_the_design_in_their_order(request_of: Callable[[], list[str]]) -> None:
    assert hops_of(request_of()) == list(HOPS)


def test_it_enters_few_functions(request_of: Callable[[], list[str]]) -> None:
    assert len(request_of()) <= MOST_CALLS


def test_one_more_hop_is_noticed(
    request_of: Callable[[], list[str]], application: tuple[Application, Observing]
) -> None:
    """A wrapper round the invocation, as an onion of middleware would put it."""
    bound = next(one for one in application[0].bound.operations if one.name == "get_jar")
    space: dict[str, Any] = {"inner": bound.invoke}
    text = "async def invoke(call):\n    return await inner(call)\n"
    exec(compile(text, f"{PACKAGE}kernel/onion.py", "exec"), space)
    bound.invoke = space["invoke"]
    hops = hops_of(request_of())
    assert len(hops) == 9
    assert "kernel/onion.py" in hops
