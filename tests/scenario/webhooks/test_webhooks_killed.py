"""A shop that is killed in the middle of its sending: what was acknowledged is told, by whoever comes after it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx2
import webhook_shop
from answering_server import answering, reply
from webhook_shop import bearer, said, toml

PATIENCE = 120.0
ANN = UUID(int=1001)
ORDERS = 20


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    shutil.copy(webhook_shop.__file__, folder)
    head = f'service = "webhook_shop:SHOP"\n[http]\nport = {port}\nworkers = 2\n[admin]\nport = 0\n'
    (folder / "mainstay.toml").write_text(head + toml())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "mainstay", "run"],
            cwd=folder,
            env=kept | {"MAINSTAY_PROFILE": "development", "XDG_RUNTIME_DIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it with all of its workers, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@asynccontextmanager
async def calling(folder: Path, port: int) -> AsyncIterator[httpx2.AsyncClient]:
    """Wait until the shop takes calls, and call it."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=bearer(ANN), timeout=30) as client:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if (await client.get("/health")).status_code == 200:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield client


async def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    port = free_port()
    acknowledged: set[str] = set()
    async with answering(lambda _: reply(b"", 204)) as receiver:
        receiver.hold = asyncio.Event()
        process = start(tmp_path, port)
        try:
            async with calling(tmp_path, port) as client:
                url = f"http://127.0.0.1:{receiver.port}/hook"
                made = await client.post("/webhooks/endpoints", json={"url": url})
                assert made.status_code == 201, made.text
                for _ in range(ORDERS):
                    placed = await client.post("/orders", json={"customer_id": str(ANN)})
                    assert placed.status_code == 201, placed.text
                    acknowledged.add(placed.json()["id"])
                await until(lambda: len(receiver.asked) >= 3)
        finally:
            kill(process)
        receiver.hold.set()
        process = start(tmp_path, port)
        try:
            await until(lambda: acknowledged <= {said(one.body)["data"]["order_id"] for one in receiver.asked})
            async with calling(tmp_path, port) as client:
                async with asyncio.timeout(PATIENCE):
                    while (await client.get("/webhooks/deliveries?state=pending")).json()["items"]:
                        await asyncio.sleep(0.1)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            finally:
                if process.poll() is None:
                    kill(process)
    ids = {asked.headers["webhook-id"] for asked in receiver.asked}
    assert len(ids) == len(acknowledged) == ORDERS, (tmp_path / "run.log").read_text()
