"""The end of serving: however it comes, no call meets an application that is closed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mainstay import Module, Service, anyone
from mainstay.app.assembly import assemble
from mainstay.app.observing import make_observing
from mainstay.app.serving import Listening, serve
from mainstay.app.settings import load
from mainstay.app.worker import _tell_ready

plain = Module("plain")


@plain.query("GET /hello", allow=anyone)
async def hello() -> str:
    return "hello"


service = Service("plain", version="1.0.0", modules=[plain])


def listens(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


async def test_doors_are_closed_before_the_application_when_the_start_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(tmp_path, environ={}, flags={"database.url": "memory:"}, profile="test")
    observing = make_observing(settings)
    application = assemble(service, settings, observer=observing.observer)
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    seen: list[bool] = []
    store = application.ports.store
    stop = store.stop

    async def stopping() -> None:
        seen.append(listens(address))
        await stop()

    def fail() -> None:
        seen.append(listens(address))
        raise RuntimeError("nobody is there to be told")

    monkeypatch.setattr(store, "stop", stopping)
    with pytest.raises(RuntimeError, match="nobody is there"):
        await serve(application, observing, Listening(listening), on_ready=fail)
    observing.close()
    assert seen == [True, False]


def test_a_worker_goes_on_until_it_knows_that_its_supervisor_has_died() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    _tell_ready(writing)
    os.close(writing)
