"""The brokers of the bench: the same servers, durable as the tests have them, each fresh and of the bench's own."""

from __future__ import annotations

import contextlib
import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.install import ROOT, Absent

NONE = "none"
TITLES = {
    "nats": "NATS JetStream",
    "rabbitmq": "RabbitMQ",
    "redis": "Redis Streams",
    "kafka": "Kafka",
    NONE: "no broker: one service, its own database",
}
_SETTINGS = {name: f"MAINSTAY_TEST_{name.upper()}" for name in TITLES if name != NONE}


@dataclass(frozen=True)
class Broker:
    """A broker that runs: its URL, and its main process; 0 where there is none."""

    name: str
    url: str
    pid: int = 0

    def cpu(self) -> float:
        """Return the processor seconds that it used so far."""
        return processes.seconds(processes.tree(self.pid)) if self.pid else 0.0


@contextlib.contextmanager
def opened(name: str, work: Path) -> Iterator[Broker]:
    """Give a broker on the core of the load. Raises ``Absent`` where it cannot be started."""
    if name == NONE:
        yield Broker(name, "")
        return
    service, faults = _service(name, work / "services")
    try:
        with on_core_of_load():
            service.start()
    except faults as fault:
        raise Absent(f"{name}: {fault}") from fault
    try:
        yield Broker(name, service.variables()[_SETTINGS[name]], int(service.running()["pid"]))
    finally:
        service.stop()


def _service(name: str, state: Path) -> tuple[Any, type[Exception]]:
    """Return the entry of the table of services, and what it raises where it cannot be started."""
    folder = str(ROOT / "scripts" / "lib")
    if folder not in sys.path:
        sys.path.append(folder)
    from services_program import Service  # type: ignore[import-not-found]  # modules of the scripts
    from services_run import ServiceError  # type: ignore[import-not-found]  # as above

    state.mkdir(parents=True, exist_ok=True)
    entry = tomllib.loads((ROOT / "scripts" / "services.toml").read_text(encoding="utf-8"))[name]
    return Service(name, state / name, {}, **entry), ServiceError


@contextlib.contextmanager
def on_core_of_load() -> Iterator[None]:
    """Start what is started meanwhile on the core of the load, where there are two."""
    cores = os.sched_getaffinity(0)
    try:
        if len(cores) > 1:
            os.sched_setaffinity(0, {sorted(cores)[1]})
        yield
    finally:
        os.sched_setaffinity(0, cores)
