"""Adapters are found by name, and what is missing is said with the line that mends it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.memory.store import MemoryStore
from mainstay.app import registry
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load
from mainstay.app.stores import make_store, sqlite_path


def settings_with(folder: Path, url: str, **more: str) -> object:
    return load(folder, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": url, **more})


def test_what_is_built_in_is_there() -> None:
    for key in registry.BUILT_IN:
        assert callable(registry.find(*key.split(".")))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refusal) as refused:
        registry.find("store", "oracle")
    known = set(refused.value.remedies[0].removeprefix("known are ").split(", "))
    assert {"dynamodb", "mariadb", "memory", "mongodb", "mysql", "postgresql", "sqlite"} <= known


def test_a_package_may_bring_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [EntryPoint("store.mine", f"{MemoryStore.__module__}:MemoryStore", registry.GROUP)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found if group == registry.GROUP else [])
    assert registry.find("store", "mine") is MemoryStore


def test_a_missing_package_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"store.redis": registry.Entry("mainstay_no_such_adapter:make", extra="redis")}
    monkeypatch.setattr(registry, "BUILT_IN", entries)
    assert "mainstay_no_such_adapter" not in sys.modules
    with pytest.raises(Refusal) as refused:
        registry.find("store", "redis")
    assert refused.value.remedies == ("pip install 'mainstay[redis]'",)


BARE = """
import sys
drivers = "asyncpg", "asyncmy", "pymongo", "bson", "aiobotocore", "botocore", "hvac", "redis", "nats", "aio_pika"
for package in (*drivers, "confluent_kafka", "granian", "uvicorn"):
    sys.modules[package] = None
for package in ("aio_pika", "confluent_kafka"):
    sys.modules[package] = None
from mainstay.app import registry
from mainstay.app.refusal import Refusal
for key, entry in registry.BUILT_IN.items():
    try:
        registry.find(*key.split(".", 1))
    except Refusal as refusal:
        told = refusal.remedies[0]
    else:
        told = None
    assert told == (f"pip install 'mainstay[{entry.extra}]'" if entry.extra else None), (key, told)
"""


def test_a_base_install_is_told_which_extra_each_adapter_needs() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_url_says_which_store(tmp_path: Path) -> None:
    assert isinstance(make_store(settings_with(tmp_path, "memory:"), SystemClock()), MemoryStore)
    with pytest.raises(Refusal, match="no URL"):
        make_store(settings_with(tmp_path, "shop"), SystemClock())
    with pytest.raises(Refusal, match="belongs to one process"):
        make_store(settings_with(tmp_path, "memory:", MAINSTAY_HTTP_WORKERS="2"), SystemClock())


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///shop.db", "{root}/shop.db"), ("sqlite:////var/x.db", "/var/x.db"), ("sqlite:///a%20b", "{root}/a b")],
)
def test_a_file_is_beside_the_settings_or_absolute(tmp_path: Path, url: str, path: str) -> None:
    assert sqlite_path(settings_with(tmp_path, url)) == Path(path.format(root=tmp_path))


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://host/file", "sqlite:///a?mode=ro"])
def test_a_url_that_names_no_file_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refusal, match="names no file"):
        sqlite_path(settings_with(tmp_path, url))
