"""A small service behind the HTTP door. Its operations are bound by hand, so that the door is tested alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.memory.store import MemoryStore
from mainstay.inbound.http.admission import Admission, Bounds
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.targets import Document, Page
from mainstay.kernel.bound import BoundOperation, Media, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.received import Received
from mainstay.kernel.streamed import Item
from mainstay.kernel.validate.problems import PartMissing
from mainstay.model.inputs import File, Upload
from mainstay.model.limits import limit
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.problem import Conflict, Malformed, TooMany, Unauthenticated
from mainstay.model.signature import signature_of
from mainstay.model.structs import Dto
from mainstay.ports.limiter import Verdict
from mainstay.ports.observer import Observation, Observer

ROW = UUID("0190a0b0-0000-7000-8000-000000000001")


class NewItem(Dto):
    name: str


class NameTaken(Conflict, hint="Choose another name."):
    """An item of this name is there already."""


class Recorder(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        self.seen.append(observation)


class Sample:
    """The service: what was called, and switches that tests throw."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.calls: list[Call] = []
        self.cancelled: list[str] = []
        self.gate = threading.Event()
        self.clock = SystemClock()
        self.ids = SystemIds()
        self.streams_closed = 0
        self.bounds = Bounds()

    def operations(self) -> list[BoundOperation]:
        """Return all operations."""
        module = _declare()
        ports = Ports(
            store=MemoryStore(),  # which no operation here touches
            limiter=None,  # type: ignore[arg-type]
            clock=self.clock,
            ids=self.ids,
            entropy=None,  # type: ignore[arg-type]
            sealer=None,  # type: ignore[arg-type]
            observer=self.recorder,
        )
        bound = []
        for index, operation in enumerate(module.operations):
            name = operation.name
            gives = {"file": "text/csv", "ticker": "application/x-ndjson"}.get(name, "application/json")
            accepts = {"upload": ("*/*",), "patch_item": ("application/json", "application/merge-patch+json")}
            bound.append(
                BoundOperation(
                    operation=operation,
                    signature=signature_of(operation),
                    name=f"m.{name}",
                    status=operation.status,
                    media=Media(accepts=accepts.get(name, ()), gives=gives),
                    index=index,
                    inline=name not in ("slow", "slow_command", "upload"),
                    deadline=operation.deadline or 30.0,
                    ports=ports,
                    plans={},
                    stages=(self._admit, _read),
                    invoke=getattr(self, f"_{name}"),
                )
            )
        return bound

    def _admit(self, call: Call) -> None:
        self.calls.append(call)
        if call.credentials == b"bad":
            raise Unauthenticated

    async def _hello(self, call: Call) -> Reply:
        return Reply(body=b'{"hello":"world"}')

    async def _get_item(self, call: Call) -> Reply:
        view = dict(call.query).get("fields", "")
        return Reply(body=msgspec.json.encode({"id": call.arguments["item_id"]}), version=3, view=view)

    async def _big(self, call: Call) -> Reply:
        """Give as many bytes as are asked for, with what is asked for around them."""
        asked = dict(call.query)
        size = int(asked.get("n", "5000"))
        words = " ".join(str(number) for number in range(size))[: size - 2].encode()
        body = b'"%b"' % (asked["text"].encode() * size if "text" in asked else words)
        header = ((asked["header"], asked["value"]),) if "header" in asked else ()
        version = int(asked["version"]) if "version" in asked else None
        return Reply(body=body, version=version, headers=header, secret="secret" in asked)

    async def _list_items(self, call: Call) -> Reply:
        return Reply(body=b'{"items":[]}', next="c2 &>")

    async def _create_item(self, call: Call) -> Reply:
        if call.body == b"":
            raise Malformed("the body is missing")
        given = json.loads(call.body)  # type: ignore[arg-type]  # bytes here
        if given["name"] == "taken":
            raise NameTaken(name="taken")
        replayed = call.idempotency_key == "again"
        return Reply(body=msgspec.json.encode(given), status=201, version=1, location=str(ROW), replayed=replayed)

    async def _patch_item(self, call: Call) -> Reply:
        return Reply(body=b'{"versions":%s}' % json.dumps(call.if_match).encode(), version=4)

    async def _delete_item(self, call: Call) -> Reply:
        return Reply(status=204)

    async def _upload(self, call: Call) -> Reply:
        assert isinstance(call.body, Received)
        if not call.body.files:
            raise PartMissing
        sent = call.body.files[0][1]
        assert len(await sent.read()) == sent.size
        facts = {"size": sent.size, "media": sent.media_type, "name": sent.filename}
        return Reply(body=msgspec.json.encode(facts))

    async def _file(self, call: Call) -> Reply:
        if call.query and call.query[0][0] == "path":
            return Reply(file=File(content=Path(call.query[0][1]), media_type="text/csv"))
        content = call.query[0][1].encode() if call.query else b"a,b\n"
        return Reply(file=File(content=content, media_type="text/csv", filename="żółw 1.csv"))

    async def _ticker(self, call: Call) -> Reply:
        return Reply(stream=self._ticks(int(dict(call.query).get("n", "3")), dict(call.query).get("end", "")))

    async def _ticks(self, count: int, end: str) -> AsyncIterator[Item]:
        try:
            for number in range(count):
                await asyncio.sleep(0)
                yield Item(b'{"n":%d}' % number)
            if end == "broken":
                raise OSError("the store went away")
            while end == "never":
                yield Item(b"x" * 65536)
        finally:
            self.streams_closed += 1

    async def _slow(self, call: Call) -> Reply:
        try:
            while not self.gate.is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.append(call.operation.name)
            raise
        return Reply(body=b'{"slow":true}')

    _slow_command = _slow

    async def _boom(self, call: Call) -> Reply:
        raise RuntimeError("the secret detail")

    async def _limited(self, call: Call) -> Reply:
        rule = limit("20/minute")
        call.verdicts = [Verdict(rule, False, 0, 30.0, 2.2)]
        raise TooMany(retry_after=2.2)

    def door(self, options: HttpOptions) -> Door:
        """Return the door of the service."""
        return Door(
            self.operations(),
            dispatch,
            ids=self.ids,
            clock=self.clock,
            observer=self.recorder,
            documents={"/openapi.json": Document(body=b"{}", media_type="application/json", etag='"o1"')},
            pages={
                "/health": Page(make=lambda: (200, "application/json", b'{"status":"up"}'), probe=True),
                "/ready": Page(make=_ready, ready=True, probe=True),
            },
            options=options,
            admission=Admission(self.bounds, clock=self.clock, observer=self.recorder),
        )


async def _ready() -> tuple[int, str, bytes]:
    return 200, "application/json", b'{"status":"ready"}'


def _read(call: Call) -> Coroutine[Any, Any, None] | None:
    if call.body is not None or call.read is None:
        return None

    async def wait() -> None:
        call.body = await call.read()  # type: ignore[misc]  # set above

    return wait()


def _declare() -> Module:
    module = Module("m")

    async def nothing() -> None: ...

    async def one(item_id: str) -> None: ...

    async def make(new: NewItem) -> None: ...

    async def change(item_id: str, new: NewItem) -> None: ...

    async def take(file: Upload) -> None: ...

    queries: dict[str, tuple[str, Callable[..., Any]]] = {
        "hello": ("/hello", nothing),
        "get_item": ("/items/{item_id}", one),
        "list_items": ("/items", nothing),
        "big": ("/big", nothing),
        "file": ("/file", nothing),
        "ticker": ("/ticker", nothing),
        "slow": ("/slow", nothing),
        "boom": ("/boom", nothing),
        "limited": ("/limited", nothing),
    }
    for name, (path, function) in queries.items():
        module.query(f"GET {path}", allow=anyone, name=name, deadline=0.2 if name == "slow" else None)(function)
    module.command("POST /items", allow=anyone, status=201, name="create_item")(make)
    module.command("PATCH /items/{item_id}", allow=anyone, precondition=True, name="patch_item")(change)
    module.command("DELETE /items/{item_id}", allow=anyone, status=204, name="delete_item")(one)
    module.command("POST /files", allow=anyone, name="upload")(take)
    module.command("POST /slow", allow=anyone, name="slow_command")(nothing)
    return module
