"""The stores of documents by their URLs, and what is told of a store at the start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mainstay.adapters.dynamo.store import DynamoStore
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.mongo.store import MongoStore
from mainstay.app.assembly import assemble
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load
from mainstay.app.stores import make_store, scheme_of
from mainstay.model.module import Module
from mainstay.model.problem import Unavailable
from mainstay.model.service import Service
from mainstay.ports.observer import Notice, Observation, Observer
from mainstay.ports.store import Capabilities, StoreUnusable


def made(folder: Path, url: str) -> Any:
    settings = load(folder, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": url})
    return make_store(settings, SystemClock())


def test_the_url_says_which_store(tmp_path: Path) -> None:
    store = made(tmp_path, "dynamodb://eu-west-1/shop")
    assert isinstance(store, DynamoStore)
    assert store.capabilities.max_writes == 100


async def test_a_mongo_url_names_a_database(tmp_path: Path) -> None:
    store = made(tmp_path, "mongodb://127.0.0.1:1/shop?replicaSet=rs0")
    assert isinstance(store, MongoStore)
    assert store.health() == "the store is not open"
    await store.client.close()


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://me:hunter2@host:27017",
        "mongodb://me:hunter2@/shop",
        "mongodb://me:hunter2:@host/shop",
        "dynamodb://me:hunter2@eu-west-1/shop",
        "dynamodb://eu-west-1/shop?secret=hunter2",
    ],
)
def test_what_is_no_such_url_is_refused_without_its_secret(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refusal) as refused:
        made(tmp_path, url)
    assert refused.value.message.startswith("database.url")
    assert "hunter2" not in " ".join([refused.value.message, *refused.value.remedies])
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("mongodb://host/shop", "pymongo", "mongo"), ("dynamodb://eu-west-1/shop", "aiobotocore", "dynamo")],
)
def test_a_missing_package_is_told_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, package: str, extra: str
) -> None:
    ours = f"mainstay.app.{extra}", f"mainstay.adapters.{extra}"
    for name in [name for name in sys.modules if name.startswith((package, *ours))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Refusal) as refused:
        made(tmp_path, url)
    assert refused.value.remedies == (f"pip install 'mainstay[{extra}]'",)


class Listener(Observer):
    def __init__(self) -> None:
        self.heard: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        self.heard.append(observation)


async def test_what_a_store_lacks_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(tmp_path, environ={"MAINSTAY_PROFILE": "test"})
    service = Service("shop", modules=[Module("store")])
    for lacks, told in ((Capabilities(), []), (Capabilities(snapshots=False, max_writes=9), ["store_lacks"])):
        monkeypatch.setattr(MemoryStore, "capabilities", lacks)
        listener = Listener()
        async with assemble(service, settings, observer=listener):
            pass
        notices = [one for one in listener.heard if isinstance(one, Notice)]
        assert [one.event for one in notices] == told
        assert all("9 items" in one.message and len(one.facts["lacks"]) == 2 for one in notices)


async def test_a_store_that_cannot_be_used_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(self: Any, tables: Any) -> None:
        raise StoreUnusable("it has no transactions", "use another")

    monkeypatch.setattr(MemoryStore, "start", start)
    settings = load(tmp_path, environ={"MAINSTAY_PROFILE": "test"})
    application = assemble(Service("shop", modules=[Module("store")]), settings, observer=Listener())
    with pytest.raises(Refusal, match="no transactions") as refused:
        await application.start()
    assert refused.value.remedies == ("use another",)


@pytest.mark.parametrize(
    ("cause", "told"),
    [(ConnectionRefusedError("no answer"), "opened: ConnectionRefusedError: no answer"), (None, "cannot be opened$")],
)
async def test_a_database_that_is_away_at_the_start_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception | None, told: str
) -> None:
    async def start(self: Any, tables: Any) -> None:
        raise Unavailable("the database cannot be reached") from cause

    monkeypatch.setattr(MemoryStore, "start", start)
    settings = load(tmp_path, environ={"MAINSTAY_PROFILE": "test"})
    application = assemble(Service("shop", modules=[Module("store")]), settings, observer=Listener())
    with pytest.raises(Refusal, match=told) as refused:
        await application.start()
    assert refused.value.remedies == ("is it running, and is database.url right?",)


def test_the_short_name_of_postgresql_is_known(tmp_path: Path) -> None:
    environ = {"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": "postgres://shop@127.0.0.1/shop"}
    assert scheme_of(load(tmp_path, environ=environ)) == "postgresql"
