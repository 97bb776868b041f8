"""Who takes part: a process that serves the calls and relays, and one that has the effects, of each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import install
from bench.events.brokers import NONE, Broker
from bench.install import APPS, HERE
from bench.peers import TOOL, production
from bench.processes import free_port
from bench.stores import Data

OURS = "mainstay"
PLAIN = "-plain"
_WORKER = [TOOL, "worker", "--no-admin"]
_APART = {"MAINSTAY_WORKER_INSIDE": "false"}


@dataclass(frozen=True)
class Part:
    """A process: what it is, its command, where it is run, and what it says once it is ready; "": it answers calls."""

    name: str
    command: list[str]
    folder: Path
    environment: Mapping[str, str]
    ready: str = ""


@dataclass(frozen=True)
class Place:
    """Where a contender works: what it keeps files in, the broker, the databases of both services, and its port."""

    work: Path
    broker: Broker
    shop: Data
    shipping: Data
    port: int


@dataclass(frozen=True)
class Contender:
    """``tables`` are those of the rows and of the effects; ``plain`` says that it is free to lose and to repeat."""

    name: str
    title: str
    brokers: tuple[str, ...]
    make: Callable[[Place], list[Part]]
    version: Callable[[], str]
    tables: tuple[str, str] = ("orders", "parcels")
    plain: bool = False


def _mainstay(place: Place) -> list[Part]:
    shop = _ours("both" if place.broker.name == NONE else "shop", place, place.shop, place.port)
    if place.broker.name == NONE:
        worker = Part("worker", _WORKER, shop.folder, shop.environment, "working on")
        return [shop, worker]
    shipping = _ours("shipping", place, place.shipping, free_port())
    return [shop, Part("shipping", _WORKER, shipping.folder, shipping.environment, "working on")]


def _ours(name: str, place: Place, data: Data, port: int) -> Part:
    """Lay a service out in a folder of its own, and make its tables."""
    folder = place.work / f"events-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(APPS / "events_ours", folder)
    environment = {**production(folder, data, port, free_port()), "MAINSTAY_SERVICE": f"{name}:service"}
    environment |= {"MAINSTAY_EVENTS": place.broker.url} if place.broker.url else _APART
    for verb in ("plan", "migrate"):
        subprocess.run([TOOL, "db", verb], cwd=folder, env={**os.environ, **environment}, check=True, stdout=2)
    return Part(name, [TOOL, "run"], folder, environment)


def _peer(name: str, *consumer: str, plain: bool = False) -> Callable[[Place], list[Part]]:
    """Return what makes a peer: the application that serves calls, and ``consumer``, its own command for the other."""

    def make(place: Place) -> list[Part]:
        tools = install.python(f"events_{name}", place.work).parent
        common = {
            "BENCH_BROKER": place.broker.name,
            "BENCH_BROKER_URL": place.broker.url,
            "PYTHONPATH": os.pathsep.join([str(APPS / "events_parts"), str(APPS / f"events_{name}")]),
            **({"BENCH_PLAIN": "1"} if plain else {}),
        }
        options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        serve = [str(tools / "python"), "-m", "uvicorn", "producer:application", "--port", str(place.port), *options]
        folder = HERE / "apps" / f"events_{name}"
        return [
            Part("shop", serve, folder, {**common, "BENCH_DATABASE": place.shop.told}),
            Part(
                "shipping",
                [str(tools / consumer[0]), *consumer[1:]],
                folder,
                {**common, "BENCH_DATABASE": place.shipping.told},
                '"event":"ready"',
            ),
        ]

    return make


def _locked(name: str) -> Callable[[], str]:
    def version() -> str:
        text = (APPS / f"events_{name}" / "requirements.txt").read_text()
        found = re.search(rf"^{name}==(\S+)", text, re.MULTILINE)
        return found[1] if found else "?"

    return version


def _our_version() -> str:
    from importlib.metadata import version

    return version("mainstay")


_FASTSTREAM = ("faststream", "run", "consumer:app", "--log-level", "warning")
_CELERY = ("celery", "-A", "tasks", "worker", "-P", "threads", "-l", "warning", "--without-gossip", "--without-mingle")
_DRAMATIQ = ("dramatiq", "actors", "--processes", "1", "--threads", "10")
CONTENDERS = (
    Contender(
        OURS,
        "Mainstay",
        ("nats", "rabbitmq", "redis", "kafka", NONE),
        _mainstay,
        _our_version,
        ("orders_order", "parcels_parcel"),
    ),
    Contender(
        "faststream",
        "FastStream",
        ("nats", "rabbitmq", "redis", "kafka"),
        _peer("faststream", *_FASTSTREAM),
        _locked("faststream"),
    ),
    Contender("celery", "Celery", ("rabbitmq", "redis"), _peer("celery", *_CELERY), _locked("celery")),
    Contender("dramatiq", "Dramatiq", ("rabbitmq", "redis"), _peer("dramatiq", *_DRAMATIQ), _locked("dramatiq")),
    Contender(
        f"faststream{PLAIN}",
        "FastStream, no outbox, no inbox",
        ("nats", "rabbitmq", "redis", "kafka"),
        _peer("faststream", *_FASTSTREAM, plain=True),
        _locked("faststream"),
        plain=True,
    ),
)
NAMES = tuple(one.name for one in CONTENDERS)
