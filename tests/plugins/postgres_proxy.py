"""A proxy before a PostgreSQL server that cuts connections: now, or as a message of the client's passes.

It reads the client's side of the protocol (version 3.0): the kinds of messages are Q (a statement by itself), P
(prepare), B (bind), E (execute), S (sync). What is bound or executed is known by the statement that was prepared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

Act = Literal["before", "swallow", "stall", "late"]
"""Cut before the message passes; let it pass and cut when it was answered; let nothing pass any more; cut the client's
side, and let what it has sent pass a while later."""

_LATE_SECONDS = 0.4

_CODES = (80877102, 80877103, 80877104)  # cancel, TLS, GSS: what may come in place of the start
_CANCEL = _CODES[0]
_READY = b"Z\x00\x00\x00\x05"


@dataclass
class Rule:
    """What is done when the so many-th message of a kind passes whose statement has a text in it."""

    kind: str
    text: str
    act: Act
    number: int
    met: asyncio.Event


class Passage:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._back: asyncio.StreamWriter | None = None
        self._texts: dict[bytes, str] = {}
        self._bound = ""
        self._swallowing = False
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def run(self) -> None:
        """Pass on until one side ends, then end both."""
        try:
            reader, self._back = await asyncio.open_connection(self._proxy.host, self._proxy.server_port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._up(self._back))
                tasks.create_task(self._down(reader))
        except* (OSError, EOFError):
            pass
        finally:
            self.cut()

    async def _up(self, back: asyncio.StreamWriter) -> None:
        code = _CODES[1]
        while code in _CODES[1:]:
            head = await self._reader.readexactly(8)
            size, code = int.from_bytes(head[:4]), int.from_bytes(head[4:])
            back.write(head + await self._reader.readexactly(size - 8))
        while True:
            head = await self._reader.readexactly(5)
            body = await self._reader.readexactly(int.from_bytes(head[1:]) - 4)
            kind = chr(head[0])
            act = self._proxy.act(kind, self._text(kind, body))
            if act == "before":
                raise EOFError
            if act == "stall":
                self._flowing.clear()
            if act == "late":
                await self._pass_late(head + body, back)
            self._swallowing = self._swallowing or act == "swallow"
            await self._flowing.wait()
            back.write(head + body)

    async def _pass_late(self, message: bytes, back: asyncio.StreamWriter) -> None:
        self._writer.transport.abort()
        await asyncio.sleep(_LATE_SECONDS)
        back.write(message + await self._reader.read())
        await asyncio.sleep(_LATE_SECONDS)
        raise EOFError

    def _text(self, kind: str, body: bytes) -> str:
        if kind == "Q":
            return body[:-1].decode()
        if kind == "P":
            name, text, _ = body.split(b"\x00", 2)
            self._texts[name] = text.decode()
            return self._texts[name]
        if kind == "B":
            self._bound = self._texts.get(body.split(b"\x00", 2)[1], "")
        return self._bound if kind in "BES" else ""

    async def _down(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            await self._flowing.wait()
            if not self._swallowing:
                self._writer.write(data)
            elif _READY in data:
                break
        raise EOFError

    def cut(self) -> None:
        """End both sides at once."""
        self._flowing.set()
        for writer in (self._writer, self._back):
            if writer is not None:
                writer.transport.abort()


class Proxy:
    """Takes connections on a port of its own. ``refusing``: new ones are ended as they come."""

    def __init__(self, server_port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.server_port = server_port
        self.port = 0
        self.refusing = False
        self.cuts = 0
        self.passages: dict[asyncio.Task[None], Passage] = {}
        self._rules: list[Rule] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self.passages[task] = passage = Passage(self, reader, writer)
        try:
            await passage.run()
        finally:
            del self.passages[task]

    def on(self, kind: str, text: str, act: Act, number: int = 1) -> asyncio.Event:
        """Do something when a message passes, once; the event is set then."""
        rule = Rule(kind, text, act, number, asyncio.Event())
        self._rules.append(rule)
        return rule.met

    def act(self, kind: str, text: str) -> Act | None:
        """Return what is to be done as a message passes."""
        for rule in self._rules:
            if rule.kind == kind and rule.text in text:
                rule.number -= 1
                if rule.number == 0:
                    self._rules.remove(rule)
                    rule.met.set()
                    self.cuts += 1
                    return rule.act
        return None

    def forget(self) -> None:
        """Forget what was to be done and has not come to pass."""
        self._rules.clear()

    def cut(self, number: int | None = None) -> int:
        """Cut one connection, or all; return how many."""
        passages = list(self.passages.values())
        chosen = passages if number is None else passages[number : number + 1]
        for passage in chosen:
            passage.cut()
        self.cuts += len(chosen)
        return len(chosen)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Proxy]:
        """Take connections until the block ends."""
        server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.refusing = True
            self.cut()
            if self.passages:
                await asyncio.wait(list(self.passages), timeout=5)
            await server.wait_closed()
