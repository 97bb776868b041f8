"""Assembly: what is put together, in which order it is opened and closed, and what is refused before that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mainstay import Cache, Entity, Event, Events, Log, Module, Repository, Service, anyone, authenticated, field
from mainstay.app.assembly import Application, assemble
from mainstay.app.observing import make_observing
from mainstay.app.refusal import Refusal
from mainstay.app.seeding import seed
from mainstay.app.settings import Settings, SettingsRefused, load
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.model.faults import StartupFailed
from mainstay.ports.observer import Notice, Observation, Observer
from mainstay.ports.store import Table

SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"


class Heard(Observer):
    def __init__(self) -> None:
        self.all: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        self.all.append(observation)


class Thing(Entity):
    name: str = field(max_length=20, unique=True)


class Made(Event):
    name: str


class Machine:
    pass


def service_of(**more: Any) -> Service:
    desk = Module("desk")
    desk.entity(Thing)

    @desk.query("GET /count", allow=more.get("allow", anyone))
    async def count(things: Repository[Thing], cache: Cache) -> int:
        return await things.count()

    @desk.on(Made)
    async def hear(event: Made, things: Repository[Thing]) -> None:
        await things.add(Thing(name=event.name))

    return Service("team", modules=[desk])


def settings_of(folder: Path, **environ: str) -> Settings:
    return load(folder, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": "memory:", **environ})


def assembled(folder: Path, service: Service | None = None, **environ: str) -> Application:
    return assemble(service or service_of(), settings_of(folder, **environ), observer=Heard())


async def test_a_replica_that_is_not_asked_degrades_and_stops_no_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = assembled(tmp_path)
    await application.start()
    try:
        assert ("database", "ok", "") in [(one.name, one.state, one.reason) for one in application.ready().checks]
        monkeypatch.setattr(application.ports.store, "degraded", lambda: "the replica is away")
        told = [(one.name, one.state, one.reason) for one in application.ready().checks]
        assert ("database", "degraded", "the replica is away") in told
        assert application.ready().ready
    finally:
        await application.stop()


def test_who_has_written_is_remembered_where_there_is_a_replica(tmp_path: Path) -> None:
    url = {"MAINSTAY_DATABASE_URL": "postgresql://one.example/shop"}
    assert assembled(tmp_path, **url).ports.recent is None
    application = assembled(tmp_path, **url, MAINSTAY_DATABASE_REPLICA_URL="postgresql://two.example/shop")
    assert application.ports.recent is not None


def test_a_replica_of_several_hosts_is_refused(tmp_path: Path) -> None:
    urls = {
        "MAINSTAY_DATABASE_URL": "postgresql://one.example,two.example/shop",
        "MAINSTAY_DATABASE_REPLICA_URL": "postgresql://me:geheim@three.example,four.example/shop",
    }
    with pytest.raises(Refusal, match=r"replica_url .* names several hosts") as raised:
        assembled(tmp_path, **urls)
    assert "geheim" not in str(raised.value)


async def test_it_is_ready_between_start_and_stop(tmp_path: Path) -> None:
    application = assembled(tmp_path)
    assert next(check.reason for check in application.ready().checks if check.state == "failed") == "it is starting"
    async with application:
        assert application.ready().ready
        (count,) = [one for one in application.bound.operations if one.name == "count"]
        answer = await dispatch(Call(operation=count))
        assert isinstance(answer, Reply)
        assert answer.body == b"0"
    assert not application.ready().ready


async def test_what_a_service_provides_is_made_after_the_store_and_cleaned_up_before_it(tmp_path: Path) -> None:
    order: list[str] = []
    service = service_of()

    async def machine() -> AsyncIterator[Machine]:
        order.append("made")
        yield Machine()
        order.append("cleaned up")

    service.provide(Machine, machine)
    application = assembled(tmp_path, service)
    store = application.ports.store
    start, stop = store.start, store.stop

    async def starting(tables: Sequence[Table]) -> None:
        order.append("store opened")
        await start(tables)

    async def stopping() -> None:
        order.append("store closed")
        await stop()

    store.start, store.stop = starting, stopping  # type: ignore[method-assign]  # to see the order
    async with application:
        pass
    assert order == ["store opened", "made", "cleaned up", "store closed"]


async def test_where_a_part_cannot_be_made_those_before_it_are_closed(tmp_path: Path) -> None:
    service = service_of()

    async def broken() -> Machine:
        raise ConnectionError("nobody there")

    service.provide(Machine, broken)
    application = assembled(tmp_path, service)
    with pytest.raises(ConnectionError):
        await application.start()
    assert application.ports.store.health() is not None
    assert not application.started


async def test_all_faults_of_a_service_are_in_one_exception(tmp_path: Path) -> None:
    desk = Module("desk")

    @desk.query("GET /a")
    async def no_policy() -> int:
        return 1

    @desk.query("GET /b", allow=anyone)
    async def no_provider(machine: Machine) -> int:
        return 1

    with pytest.raises(StartupFailed) as failed:
        assembled(tmp_path, Service("team", modules=[desk]))
    assert {fault.subject for fault in failed.value.faults} == {"no_policy", "no_provider"}


def test_production_refuses_a_service_that_asks_who_calls_and_has_no_key(tmp_path: Path) -> None:
    environ = {
        "MAINSTAY_PROFILE": "production",
        "MAINSTAY_DATABASE_URL": "sqlite:///x.db",
        "MAINSTAY_SEALING_SECRET": SECRET,
    }
    assert assembled(tmp_path, **environ).ports.tokens is None
    with pytest.raises(SettingsRefused) as refused:
        assembled(tmp_path, service_of(allow=authenticated), **environ)
    assert "count" in str(refused.value.faults[0])
    with_key = {"MAINSTAY_AUTH_KEY": SECRET, "MAINSTAY_AUTH_ISSUER": "i", "MAINSTAY_AUTH_AUDIENCE": "a"}
    assert assembled(tmp_path, service_of(allow=authenticated), **environ, **with_key).ports.tokens is not None


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no such folder") as refused:
        assembled(tmp_path, MAINSTAY_DATABASE_URL="sqlite:///data/x.db")
    assert refused.value.remedies == (f"mkdir -p {tmp_path}/data",)


class TestSeeds:
    async def test_they_run_once_each_as_the_system_and_their_events_are_delivered(self, tmp_path: Path) -> None:
        service = service_of()

        @service.seed
        async def fill(things: Repository[Thing], events: Events, log: Log) -> None:
            if not await things.count(name="first"):
                await things.add(Thing(name="first"))
                events.emit(Made(name="second"))

        application = assembled(tmp_path, service)
        async with application:
            assert await seed(application.bound) == ["fill"]
            assert await seed(application.bound) == ["fill"]
            (count,) = [one for one in application.bound.operations if one.name == "count"]
            import asyncio

            async with asyncio.timeout(10):
                while (await dispatch(Call(operation=count))).body != b"2":  # type: ignore[union-attr]
                    await asyncio.sleep(0.01)

    @pytest.mark.parametrize("what", ["unique", "input", "unknown"])
    async def test_one_that_fails_is_told_with_its_place_and_leaves_nothing(self, tmp_path: Path, what: str) -> None:
        service = service_of()

        async def unique(things: Repository[Thing]) -> None:
            await things.add(Thing(name="a"))
            await things.add(Thing(name="a"))

        async def takes(number: int) -> None: ...

        async def unknown(machine: Machine) -> None: ...

        service.seed({"unique": unique, "input": takes, "unknown": unknown}[what])
        application = assembled(tmp_path, service)
        await application.start(deliver=False)
        with pytest.raises(Refusal, match=r"test_assembly\.py:\d+: the seed"):
            await seed(application.bound)
        (count,) = [one for one in application.bound.operations if one.name == "count"]
        answer = await dispatch(Call(operation=count))
        assert isinstance(answer, Reply)
        assert answer.body == b"0"
        await application.stop()


async def test_the_figures_name_every_part(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, MAINSTAY_DEBUG="true")
    observing = make_observing(settings)
    application = assemble(service_of(), settings, observer=observing.observer)
    async with application:
        observing.watch(application)
        observing.observer.observe(Notice("warning", "w", "text"))
        text = observing.render([observing.metrics.snapshot()] * 2).decode()
        observing.close()
    for line in (
        "mainstay_workers 2.0",
        'mainstay_notices_total{level="warning"} 2.0',
        "mainstay_outbox_pending 0.0",
        "process_resident_memory_bytes",
        "mainstay_loop_lag_seconds",
        "mainstay_store_rows",
        'mainstay_calls_in_flight{operation="count"} 0.0',
    ):
        assert line in text


def test_repeated_reads_are_looked_for_in_development_only(tmp_path: Path) -> None:
    from mainstay.adapters.memory.store import MemoryStore
    from mainstay.adapters.observe.statements import WatchedStore

    for profile, kind in (("development", WatchedStore), ("test", MemoryStore)):
        environ = {"MAINSTAY_PROFILE": profile, "MAINSTAY_DATABASE_URL": "memory:"}
        made = assemble(service_of(), load(tmp_path, environ=environ), observer=Heard())
        assert type(made.ports.store) is kind
