"""Calls that wait for idle time before a crowded loop, and for a store that is behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from http_clients import Served
from http_overload import COMMAND, GET, USUAL, Serve, eventually, said
from http_sample import Sample

from mainstay.inbound.http import admission
from mainstay.inbound.http.queueing import LoopQueue
from mainstay.inbound.http.rejections import HOLD

TICK = 0.002  # seconds that a loop's clock may be behind: libuv counts whole milliseconds


class Crowded(LoopQueue):
    """The queue of a loop that is as crowded as can be; ``idle`` says whether it has idle time."""

    idle = False

    def admits(self) -> bool:
        return False

    def _review(self, now: float) -> bool:
        return False

    def crowd(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        resume = self._resume
        self._resume = lambda: self.idle and resume()
        self._crowd(0.001)


@pytest.fixture
def crowded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, Crowded]]:
    """A door on a crowded loop."""
    monkeypatch.setattr(admission, "LoopQueue", Crowded)
    served = serve()
    queue = served.door.admission._loop_queue
    assert isinstance(queue, Crowded)
    served.loop.call_soon_threadsafe(queue.crowd, served.loop)
    eventually(lambda: served.door.admission.guarding)
    yield served, queue
    served.loop.call_soon_threadsafe(queue.stop)
    eventually(lambda: not queue.crowded)


def test_a_call_waits_for_idle_time_before_it_is_turned_away(crowded: tuple[Served, Crowded], sample: Sample) -> None:
    served, queue = crowded
    wire = served.wire()
    for _ in range(3):
        begun = time.monotonic()
        wire.say(GET)
        assert wire.hear().status == 503
        assert time.monotonic() - begun >= HOLD - TICK
        wire.say(USUAL)
        assert wire.hear().status == 503
    assert not sample.calls
    queue.idle = True
    wire.say(GET + GET)  # two in one piece go the usual way
    assert [wire.hear().status for _ in range(2)] == [503, 503]
    for _ in range(3):
        wire.say(GET)
        assert wire.hear().status == 200
    assert served.door.admission.figures().turned_away == {"m.hello": 8}


def test_a_command_waits_on_while_the_store_has_no_room(crowded: tuple[Served, Crowded], sample: Sample) -> None:
    served, queue = crowded
    store = served.door.admission._store_queue
    store.calls = 1000
    queue.idle = True
    wires = [served.wire() for _ in range(2)]
    wires[0].say(GET)
    wires[1].say(COMMAND)
    assert [wire.hear().status for wire in wires] == [200, 503]
    store.calls = 0
    wires[1].say(COMMAND)
    assert wires[1].hear().status == 201


def test_turnstiles_stand_before_a_store_that_is_behind_too(serve: Serve) -> None:
    served = serve()
    store, gate = served.door.admission._store_queue, served.server._shared.gate
    wire = served.wire()
    assert said(served, GET).status == 200
    served.loop.call_soon_threadsafe(store.tighten)
    eventually(lambda: gate.shut)
    store.calls = 1000
    wire.say(COMMAND)
    assert wire.hear().status == 503
    wire.say(GET)
    assert wire.hear().status == 200  # it does not wait for the store
    served.loop.call_soon_threadsafe(served.door.admission.stop)
    eventually(lambda: not gate.shut)
    wire.say(COMMAND)
    assert wire.hear().status == 201


def test_a_query_that_waits_for_the_store_waits_its_turn(serve: Serve) -> None:
    served = serve()
    gate = served.door.admission
    store = gate._read_queue
    bound = served.door.operation_of(b"GET", b"/hello")
    assert bound is not None
    store.narrow, store.calls = True, 1000
    gate._waits[bound.index] = 1.0  # the last ones did
    assert not gate._store_admits(bound)
    store.calls = 0
    for _ in range(40):
        assert gate._store_admits(bound)
    store.calls = 1000
    assert gate._store_admits(bound)  # the last ones did not


def test_queries_that_wait_keep_no_command_out(serve: Serve) -> None:
    """What they wait for may be another service: it is for the reads' own queue to say that it is the store."""
    served = serve()
    gate = served.door.admission
    command = served.door.operation_of(b"POST", b"/items")
    assert command is not None
    gate._store_queue.narrow = True
    gate._read_queue.calls = 1000
    assert gate._store_admits(command)
    gate._store_queue.calls = 1000
    assert not gate._store_admits(command)


def test_what_comes_while_a_call_waits_is_answered_after_it(crowded: tuple[Served, Crowded]) -> None:
    served, queue = crowded
    for queue.idle, statuses in ((False, {503}), (True, {200, 503})):  # 503: both came in one piece
        wires = [served.wire() for _ in range(20)]
        for wire in wires:
            wire.say(GET)
            wire.say(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
        answers = [[wire.hear().status for _ in range(2)] for wire in wires]
        assert {first for first, _ in answers} <= statuses
        assert {second for _, second in answers} == {200}


def test_an_alarm_guards_the_door_at_once_and_ends_with_the_watch(serve: Serve, sample: Sample) -> None:
    served = serve()
    gate = served.door.admission
    queue = gate._loop_queue
    queue._loop = type("Stuck", (), {"call_soon_threadsafe": lambda self, *call: None})()  # its turn goes on and on
    gate._alarm(0.001)
    queue._first = False
    assert said(served, USUAL).status == 503
    assert said(served, b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n").status == 200
    gate.stop()
    assert said(served, USUAL).status == 200
    assert said(served, GET).status == 200


def test_who_leaves_while_its_call_waits_is_forgotten(crowded: tuple[Served, Crowded], sample: Sample) -> None:
    served, queue = crowded
    for _ in range(20):
        wire = served.wire()
        wire.say(GET)
        wire.close()
    queue.idle = True
    eventually(lambda: served.server.connections == 0)
    assert said(served, GET).status == 200
