"""The service as an ASGI application: the same door, started and stopped by another server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay.app.asgi import create
from mainstay.app.refusal import Refusal
from mainstay.app.settings import SettingsRefused

SERVICE = """
from mainstay import Entity, Module, Service, anyone, field
shelf = Module("shelf")

class Thing(Entity):
    name: str = field(max_length=10)

shelf.resource(Thing, path="/things", read=anyone, create=anyone)
team = Service("team", modules=[shelf])
"""
SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = list(sys.path)
    (tmp_path / "shelf_service.py").write_text(SERVICE)
    (tmp_path / "mainstay.toml").write_text('service = "shelf_service:team"\n')
    monkeypatch.setenv("MAINSTAY_PROFILE", "test")
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("shelf_service", None)


class Client:
    """As little of an ASGI server as is needed."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def ask(self, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
        sent: list[Any] = []
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))] if body else []
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "client": ("127.0.0.1", 1)}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])

    async def live(self, *events: str) -> list[str]:
        pending = [{"type": f"lifespan.{event}"} for event in events]
        sent: list[str] = []

        async def receive() -> Any:
            return pending.pop(0)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await self.app({"type": "lifespan"}, receive, send)
        return sent


async def test_it_lives_between_start_up_and_shutdown(project: Path) -> None:
    client = Client(create(project))
    before, _ = await client.ask("/ready")
    assert before == 503
    import asyncio

    started, stopping = asyncio.Event(), asyncio.Event()
    pending = iter([("startup", started), ("shutdown", stopping)])

    async def receive() -> Any:
        name, _ = next(pending)
        if name == "shutdown":
            started.set()
            await stopping.wait()
        return {"type": f"lifespan.{name}"}

    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    life = asyncio.create_task(client.app({"type": "lifespan"}, receive, send))
    await started.wait()
    assert (await client.ask("/ready"))[0] == 200
    assert (await client.ask("/things", "POST", b'{"name": "x"}'))[0] == 201
    status, body = await client.ask("/things")
    assert (status, b'"name":"x"' in body) == (200, True)
    stopping.set()
    await life
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (await client.ask("/ready"))[0] == 503


async def test_a_database_that_is_behind_is_refused_at_start_up(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_DATABASE_URL", "sqlite:///shelf.db")
    client = Client(create(project))
    with pytest.raises(Refusal, match="no migration"):
        await client.live("startup")


def test_production_does_not_guess_how_many_processes_count(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_PROFILE", "production")
    monkeypatch.setenv("MAINSTAY_DATABASE_URL", "sqlite:///shelf.db")
    monkeypatch.setenv("MAINSTAY_SEALING_SECRET", SECRET)
    with pytest.raises(SettingsRefused) as refused:
        create(project)
    assert "MAINSTAY_LIMITS_PATH" in str(refused.value.faults[0])
    monkeypatch.setenv("MAINSTAY_LIMITS_ENGINE", "memory")
    assert create(project) is not None
    sys.modules.pop("shelf_service", None)
    monkeypatch.delenv("MAINSTAY_LIMITS_ENGINE")
    monkeypatch.setenv("MAINSTAY_LIMITS_PATH", "limits")
    assert create(project) is not None
    assert (project / "limits").exists()
