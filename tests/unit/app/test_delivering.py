"""Working on events in a process: over which broker, whether it does so at all, and what is told of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mainstay import Event, Events, Module, Service, anyone
from mainstay.adapters.memory.broker import MemoryBroker
from mainstay.adapters.observe.fanout import Fanout
from mainstay.app.assembly import Application, assemble
from mainstay.app.delivering import make_desk
from mainstay.app.flowing import flow_gauges
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.records import State
from mainstay.testing import Recorder

PATIENCE = 30.0


class Rung(Event):
    number: int


class Bells:
    """A service of one consumer."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        module = Module("bells")

        @module.command("POST /ring", allow=anyone)
        async def ring(number: int, events: Events) -> None:
            events.emit(Rung(number=number), key="k")

        @module.on(Rung, attempts=1)
        async def listen(event: Rung) -> None:
            if event.number < 0:
                raise ValueError("no such bell")
            self.heard.append(event.number)

        self.service = Service("tower", modules=[module])

    def assembled(self, folder: Path, recorder: Recorder | None = None, **environ: str) -> Application:
        given = {"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": "memory:", **environ}
        return assemble(self.service, load(folder, environ=given), observer=Fanout((recorder or Recorder(),)))


async def ring(application: Application, number: int) -> None:
    (operation,) = [one for one in application.bound.operations if one.name == "ring"]
    assert isinstance(await dispatch(Call(operation=operation, body=b'{"number": %d}' % number)), Reply)


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("environ", [{}, {"MAINSTAY_EVENTS": "memory:"}])
async def test_events_reach_their_consumers(tmp_path: Path, environ: dict[str, str]) -> None:
    bells = Bells()
    application = bells.assembled(tmp_path, **environ)
    assert isinstance(application.ports.broker, MemoryBroker) == bool(environ)
    async with application:
        for number in range(3):
            await ring(application, number)
        await until(lambda: len(bells.heard) == 3)
        assert application.ready().ready
    assert bells.heard == [0, 1, 2]


async def test_a_process_that_only_serves_calls_leaves_events_and_rings_for_others(tmp_path: Path) -> None:
    bells = Bells()
    application = bells.assembled(tmp_path, MAINSTAY_WORKER_INSIDE="false")
    rings: list[int] = []
    store: Any = application.ports.store
    store.ring = lambda: rings.append(1)
    async with application:
        assert application.worker is None
        await ring(application, 1)
        assert rings == [1]
        assert {one.name for one in application.ready().checks} >= {"database"}
        figures = await make_desk(application).figures()
        assert (figures.outbox, [one.name for one in figures.consumers]) == (1, ["listen"])
    assert bells.heard == []


async def test_a_process_of_their_own_works_on_them_whatever_is_set(tmp_path: Path) -> None:
    bells = Bells()
    application = bells.assembled(tmp_path, MAINSTAY_WORKER_INSIDE="false")
    await application.start(work=True)
    try:
        await ring(application, 1)
        await until(lambda: bells.heard == [1])
    finally:
        await application.stop()


async def test_what_was_given_up_and_a_broker_that_is_away_degrade(tmp_path: Path) -> None:
    bells = Bells()
    application = bells.assembled(tmp_path)
    async with application:
        await ring(application, -1)
        worker = application.worker
        assert worker is not None
        await until(lambda: worker.counters.dead)
        worker.counters.broker_away = True
        (check,) = [one for one in application.ready().checks if one.name == "events"]
        assert check.state == "degraded"
        assert check.reason == "the broker is away; 1 messages went to the dead letters"
        assert application.ready().ready
        (dead,) = await make_desk(application).messages(state=State.DEAD)
        assert dead.cause == "internal_error"


async def test_a_worker_that_comes_to_an_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Any) -> None:
        raise OSError("disk")

    monkeypatch.setattr("mainstay.kernel.flow.worker.EventWorker.run", broken)
    recorder = Recorder()
    async with Bells().assembled(tmp_path, recorder):
        await until(lambda: any(one.event == "worker_failed" for one in recorder.notices))


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MAINSTAY_EVENTS": "nowhere"}, "is no URL"),
        ({"MAINSTAY_EVENTS": "carrier-pigeon://me:geheim@loft"}, "no broker called 'carrier-pigeon'"),
        ({"MAINSTAY_EVENTS": "memory:", "MAINSTAY_HTTP_WORKERS": "2"}, "belongs to one process"),
    ],
)
def test_a_broker_that_cannot_be_had_is_refused(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    database = {"MAINSTAY_DATABASE_URL": "sqlite:///a.sqlite", "MAINSTAY_BLOBS_URL": "file:///blobs"}
    with pytest.raises(Refusal) as raised:
        Bells().assembled(tmp_path, **database, **environ)
    assert words in raised.value.message
    assert "geheim" not in str(raised.value)


def test_figures_are_told_by_consumer() -> None:
    counters = FlowCounters(outbox=3, broker_away=True)
    counters.of("listen").done = 7
    counters.of("mail").paused = True
    found = {(one.name, one.label): one.value for one in flow_gauges(counters)}
    assert found["mainstay_outbox_pending", None] == 3
    assert found["mainstay_broker_away", None] == 1.0
    assert found["mainstay_events_done", ("consumer", "listen")] == 7
    assert found["mainstay_consumer_paused", ("consumer", "mail")] == 1.0
