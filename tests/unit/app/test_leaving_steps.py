"""The steps of an end: who is told, when nothing more is taken, and whose the queue is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mainstay.app import terminal
from mainstay.app.leaving import ENDING_SECONDS, HANDED_SECONDS, Stop, leave
from mainstay.app.settings.model import Http
from mainstay.app.terminal import Terminal


class Steps:
    """A server that writes down what it is told."""

    def __init__(self, door: Any, listener: socket.socket) -> None:
        self.told: list[Any] = []
        self._door = door
        self._listener = listener

    def part(self) -> None:
        self.told.append("part")

    def refuse(self) -> None:
        self.told.append(("refuse", self._door.draining, self._listener.fileno() < 0))

    async def finish(self, idle_seconds: float, seconds: float) -> bool:
        self.told.append((idle_seconds, seconds))
        return True


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


async def left(stop: Stop, listener: socket.socket, **http: float) -> tuple[list[Any], Any]:
    door = SimpleNamespace(draining=False)
    settings = SimpleNamespace(http=msgspec.structs.replace(Http(), **http))
    application: Any = SimpleNamespace(settings=settings, stopping=False)
    server: Any = Steps(door, listener)
    assert await leave(application, [door], [server], [listener], stop)  # type: ignore[list-item]  # as much as is used
    return server.told, application


async def test_a_successor_gets_the_queue_and_readiness_stays(listener: socket.socket) -> None:
    stop = Stop()
    stop.hand_over()
    told, application = await left(stop, listener, drain_delay=5, drain_seconds=30)
    assert told == [("refuse", False, True), (HANDED_SECONDS, 30)]
    assert not application.stopping


async def test_at_the_end_clients_are_told_from_the_beginning_of_the_delay(listener: socket.socket) -> None:
    stop = Stop()
    stop.gently()
    told, application = await left(stop, listener, drain_delay=0.05, drain_seconds=30)
    assert told == ["part", ("refuse", True, True), (ENDING_SECONDS - 0.05, 30)]
    assert application.stopping


async def test_without_a_delay_they_are_told_while_they_are_waited_for(listener: socket.socket) -> None:
    stop = Stop()
    stop.gently()
    told, _ = await left(stop, listener, drain_delay=0, drain_seconds=2)
    assert told == [("refuse", True, True), (1.0, 2)]


async def test_whoever_is_in_a_hurry_cuts_the_delay_short(listener: socket.socket) -> None:
    stop = Stop()
    stop.gently()
    asyncio.get_running_loop().call_later(0.05, stop.gently)
    begun = asyncio.get_running_loop().time()
    told, _ = await left(stop, listener, drain_delay=30, drain_seconds=30)
    assert asyncio.get_running_loop().time() - begun < 10
    assert told == ["part", ("refuse", True, True), (0.0, 30)]


async def test_at_once_means_without_a_delay(listener: socket.socket) -> None:
    stop = Stop()
    stop.now()
    told, _ = await left(stop, listener, drain_delay=0, drain_seconds=30)
    assert told == [("refuse", True, True), (0.0, 30)]


def test_a_terminal_has_gone_only_where_there_was_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stands_for = tmp_path / "tty"
    monkeypatch.setattr(terminal, "_TERMINAL", str(stands_for))
    assert not Terminal().gone
    stands_for.touch()
    there = Terminal()
    assert not there.gone
    stands_for.unlink()
    assert there.gone
