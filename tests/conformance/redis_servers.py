"""A Redis for suites: links to the one that MAINSTAY_TEST_REDIS names, and one of a test's own that can be killed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.conformance.servers import server

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.redis.connection import RedisPlace
from mainstay.adapters.redis.link import RedisLink
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer
from mainstay.testing.recorder import Recorder

PATIENCE = 60.0  # seconds


def link_to(
    url: str = "",
    *,
    service: str = "",
    part: str = "limits",
    clock: Clock | None = None,
    observer: Observer | None = None,
    timeout: float = 10.0,
) -> RedisLink:
    """Return a link whose keys are its own, unless a service is named."""
    parts = urlsplit(url or server("MAINSTAY_TEST_REDIS"))
    place = RedisPlace(host=parts.hostname or "", port=parts.port or 0)
    service = service or f"t{uuid4().hex}"
    return RedisLink(place, clock or SystemClock(), observer or Recorder(), prefix=service, part=part, timeout=timeout)


async def clear(link: RedisLink) -> None:
    """Take away what a link's service has in the server, and let its connections go."""
    base = link.base.partition("}")[0]
    async with Redis.from_url(server("MAINSTAY_TEST_REDIS")) as client:
        async for key in client.scan_iter(match=f"{base}}}*", count=1000):
            await client.unlink(key)
    await link.close()


class OwnRedis:
    """A Redis of a test's own, which it may stop, kill and start again with what it had on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: Process | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
        assert program is not None
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"]
        self._process = await asyncio.create_subprocess_exec(program, *options, stdout=DEVNULL, stderr=DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with Redis.from_url(self.url) as client:
                    await client.ping()
                return
            except (RedisError, OSError):
                assert time.monotonic() < deadline, "Redis does not start"
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End it at once, as a loss of power would."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
