"""A steady load for restarts: requests at a fixed rate whatever becomes of them, slow ones among them, and streams.

What fails is kept with its reason. A stream fails where it is cut off, or where what comes after a restart does not go
on from the last that came before it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from contextlib import suppress

from served import Connection, Lost, head

SLOW = 0.05  # a part of all requests
STREAMS = 6
SLEEPERS = 8  # clients that keep a connection for seconds between their requests
CHUNK_END = b"0\r\n\r\n"


class SteadyLoad:
    """Requests at ``rate`` a second over connections that are kept, streams, and clients that sleep in between."""

    def __init__(self, port: Callable[[], int], rate: float, chance: random.Random) -> None:
        self.kept: set[str] = set()
        self.failed: list[str] = []
        self.seconds: list[float] = []  # of quick requests
        self.slow = 0
        self.events = 0
        self.streams_ended = 0
        self._port = port
        self._rate = rate
        self._chance = chance
        self._stopping = asyncio.Event()
        self._free: list[Connection] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._sent = 0

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._send())]
        self._tasks += [asyncio.create_task(self._listen(name)) for name in range(STREAMS)]
        self._tasks += [asyncio.create_task(self._sleep(name)) for name in range(SLEEPERS)]

    async def stop(self) -> None:
        """Send nothing more, and wait for what is under way."""
        self._stopping.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)
            await asyncio.gather(*self._under_way)
        for connection in self._free:
            connection.close()

    async def _send(self) -> None:
        """Keep to the rate: a request that waits holds no other up."""
        begun = time.monotonic()
        while not self._stopping.is_set():
            while self._sent < (time.monotonic() - begun) * self._rate:
                self._sent += 1
                task = asyncio.create_task(self._one(self._sent))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(0.004)

    async def _one(self, number: int) -> None:
        fresh = number % 7 == 0
        connection = self._free.pop(0) if self._free and not fresh else Connection(self._port())
        await self._ask(connection, number, slow=self._chance.random() < SLOW)
        if fresh:
            connection.close()
        else:
            self._free.append(connection)

    async def _ask(self, connection: Connection, number: int, *, slow: bool = False) -> None:
        mark = f"steady.{number}"
        begun = time.monotonic()
        try:
            if slow:
                answer = await connection.request("GET", f"/nap?seconds={1 + 2 * self._chance.random():.2f}")
                self.slow += 1
            elif number % 4:
                answer = await connection.request("GET", "/pid")
            else:
                answer = await connection.request("POST", "/entries", {"mark": mark, "lane": str(number % 32)})
        except Lost as lost:
            self.failed.append(f"{mark}: {lost}")
            return
        if not slow:
            self.seconds.append(time.monotonic() - begun)
        if answer.status not in (200, 201):
            self.failed.append(f"{mark}: {answer.status} {answer.code}")
        elif answer.status == 201:
            self.kept.add(mark)

    async def _sleep(self, name: int) -> None:
        connection = Connection(self._port())
        while not self._stopping.is_set():
            await self._ask(connection, 4 * name + 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.5 + 3 * self._chance.random())
        connection.close()

    async def _listen(self, name: int) -> None:
        """Listen to events; where a stream ends, go on behind the last one that came."""
        last = 0
        while not self._stopping.is_set():
            try:
                last = await self._stream(last)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.failed.append(f"stream {name} after {last}: {error!r}")
                await asyncio.sleep(0.1)

    async def _stream(self, last: int) -> int:
        """Listen until the stream ends in good order, and return the number that came last."""
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port())
            try:
                fields = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last)} if last else {})}
                writer.write(head("GET", "/ticks", b"", fields))
                top = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in top[:16]:
                    raise ValueError(f"answered {top[:40]!r}")
                while (part := await self._part(reader)) and not self._stopping.is_set():
                    last = self._heard(part, last)
            finally:
                writer.close()
        self.streams_ended += not self._stopping.is_set()
        return last

    async def _part(self, reader: asyncio.StreamReader) -> bytes:
        """Read one chunk; one without a byte ends the stream, the end of the connection does not."""
        size = int(await reader.readuntil(b"\r\n"), 16)
        return (await reader.readexactly(size + 2))[:-2]

    def _heard(self, part: bytes, last: int) -> int:
        for line in part.split(b"\n"):
            if line.startswith(b"data:"):
                number = json.loads(line[5:])["number"]
                if number != last + 1:
                    raise ValueError(f"{number} came after {last}")
                last = number
                self.events += 1
        return last
