"""What a team and its libraries write by Python's ``logging`` is in the service's log, unless they see to it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.observe.log import LogObserver
from mainstay.adapters.observe.sink import Sink
from mainstay.app.observing import Observing
from mainstay.app.settings import Settings, examine, load
from mainstay.app.settings.model import Log

SETTINGS = Settings(service="bookshop.service:service", log=Log(level="debug", loggers={"chatty": "error"}))


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Observing, Path]]:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sink = Sink(descriptor)
    yield Observing(LogObserver(sink, SystemClock(), {}, level="debug", pretty=False), sink), path
    os.close(descriptor)


def write() -> None:
    """Write at each level to the service's own package, to a library and to one that the settings name."""
    for name in ("bookshop.prices", "library", "chatty.part"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "said")


def heard(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        told: Any = msgspec.json.decode(line)
        assert (told["event"], told["message"]) == ("log", "said")
        found.setdefault(told["facts"]["logger"], []).append(told["level"])
    return found


async def test_each_logger_is_told_from_its_level_on(
    written: tuple[Observing, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    observing, path = written
    observing.listen(SETTINGS)
    write()
    observing.close()
    assert logging.getLogger().handlers == []
    assert heard(path) == {
        "bookshop.prices": ["debug", "info", "warning", "error"],
        "library": ["warning", "error"],
        "chatty.part": ["error"],
    }


async def test_without_a_package_all_are_libraries(
    written: tuple[Observing, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    observing, path = written
    observing.listen(Settings())
    write()
    observing.close()
    assert set(map(tuple, heard(path).values())) == {("warning", "error")}


async def test_what_the_team_has_set_up_is_left_alone(
    written: tuple[Observing, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [own])
    observing, path = written
    observing.listen(SETTINGS)
    assert logging.getLogger().handlers == [own]
    write()
    observing.close()
    assert path.read_text() == ""


SAFE = {
    "MAINSTAY_DATABASE_URL": "sqlite:////var/lib/shop.sqlite",
    "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
}


def test_levels_are_a_table_of_the_file(tmp_path: Path) -> None:
    settings = tmp_path / "mainstay.toml"
    settings.write_text('[log.loggers]\n"bookshop.prices" = "debug"\naiormq = "error"\n')
    assert load(tmp_path, environ=SAFE).log.loggers == {"bookshop.prices": "debug", "aiormq": "error"}


@pytest.mark.parametrize(
    ("text", "key", "fault"),
    [
        ('[log.loggers]\naiormq = "loud"', "log.loggers.aiormq", "expected one of debug, error, info, warning"),
        ('[log.loggers]\naiormq.own = "info"', "log.loggers.aiormq", "expected one of debug, error, info, warning"),
        ('[log]\nloggers = "debug"', "log.loggers", "expected a table of names and values"),
    ],
    ids=["no level", "no text", "no table"],
)
def test_levels_that_are_none_are_refused(tmp_path: Path, text: str, key: str, fault: str) -> None:
    (tmp_path / "mainstay.toml").write_text(f"{text}\n")
    (found,) = examine(tmp_path, environ=SAFE)[1]
    assert found.key == key
    assert fault in str(found)
