"""The contenders: each started by the command that its users type, in its production form, on a port of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import install
from bench.install import HERE
from bench.measure import Server
from bench.processes import free_port
from bench.stores import Data, Store
from bench.workloads import SECRET, Workload

OURS = "mainstay"
BASE = "fastapi"
SILENT = "fastapi-silent"


@dataclass(frozen=True)
class Contender:
    """Who takes part. ``workloads`` are those that it runs, all where it is None."""

    name: str
    title: str
    make: Callable[[Path, Store], Server]
    version: Callable[[], str]
    workloads: tuple[str, ...] | None = None

    def runs(self, workloads: Iterable[Workload]) -> bool:
        """Whether it runs any of some workloads."""
        return self.workloads is None or any(one.name in self.workloads for one in workloads)


TOOL = str(Path(sys.executable).parent / "mainstay")


def production(folder: Path, data: Data, port: int, admin: int) -> dict[str, str]:
    """Return the environment in which a service of ours runs in the production profile."""
    return {
        "MAINSTAY_PROFILE": "production",
        "MAINSTAY_HTTP_PORT": str(port),
        "MAINSTAY_ADMIN_PORT": str(admin),
        "MAINSTAY_AUTH_KEY": SECRET,
        "MAINSTAY_SEALING_SECRET": SECRET + "-sealing",
        "MAINSTAY_DATABASE_URL": data.url,
        "PYTHONPATH": os.pathsep.join([str(folder), str(HERE.parent / "src")]),
    }


def _mainstay(work: Path, store: Store) -> Server:
    folder = HERE / "apps" / "ours"
    port, admin = free_port(), free_port()
    data = store.data(OURS)
    environment = production(folder, data, port, admin)
    subprocess.run([TOOL, "db", "migrate"], cwd=folder, env={**os.environ, **environment}, check=True, stdout=2)
    metrics = f"http://127.0.0.1:{admin}/metrics"
    return Server(OURS, [TOOL, "run"], folder, environment, port, data, "bench_item", work, metrics=metrics)


def _environment(store: Store, name: str, port: int) -> tuple[dict[str, str], Data]:
    data = store.data(name)
    return {"BENCH_SECRET": SECRET, "BENCH_DATABASE": data.told, "PORT": str(port)}, data


def _uvicorn(folder: str, application: str, name: str = "", **more: str) -> Callable[[Path, Store], Server]:
    def make(work: Path, store: Store) -> Server:
        own = name or folder.replace("_", "-")
        python = install.python(folder, work)
        port = free_port()
        environment, data = _environment(store, own, port)
        environment |= {"PYTHONPATH": str(HERE / "apps" / "tuned_parts"), **more}
        options = ["--port", str(port), "--loop", "uvloop", "--http", "httptools"]
        options += ["--no-access-log", "--log-level", "warning"]  # the application writes a line a request itself
        command = [str(python), "-m", "uvicorn", application, *options]
        return Server(own, command, HERE / "apps" / folder, environment, port, data, "items", work)

    return make


def _node(name: str) -> Callable[[Path, Store], Server]:
    def make(work: Path, store: Store) -> Server:
        folder = install.node(name, work)
        port = free_port()
        environment, data = _environment(store, name, port)
        environment["NODE_ENV"] = "production"
        return Server(name, ["node", "app.js"], folder, environment, port, data, "items", work)

    return make


def _go(work: Path, store: Store) -> Server:
    binary = install.go(work)
    port = free_port()
    environment, data = _environment(store, "go", port)
    return Server("go", [str(binary)], work, environment, port, data, "items", work)


def _locked(folder: str, package: str) -> Callable[[], str]:
    def version() -> str:
        found = re.search(
            rf"^{package}==(\S+)", (HERE / "apps" / folder / "requirements.txt").read_text(), re.MULTILINE
        )
        return found[1] if found else "?"

    return version


def _package(folder: str) -> Callable[[], str]:
    def version() -> str:
        found = re.search(rf'"{folder}": "([^"]+)"', (HERE / "apps" / folder / "package.json").read_text())
        return f"{found[1] if found else '?'}, Node {_said('node', '--version').lstrip('v')}"

    return version


def _said(program: str, option: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "missing"
    return subprocess.run([path, option], capture_output=True, text=True, check=False).stdout.strip()


def _our_version() -> str:
    from importlib.metadata import version

    return version("mainstay")


def _go_version() -> str:
    found = re.search(r"go(\d\S+)", _said("go", "version"))
    return found[1] if found else "missing"


CONTENDERS = (
    Contender(OURS, "Mainstay", _mainstay, _our_version),
    Contender(BASE, "FastAPI as its users write it", _uvicorn("fastapi", "app:app"), _locked("fastapi", "fastapi")),
    Contender(
        SILENT,
        "FastAPI, no log, no metrics",
        _uvicorn("fastapi", "app:app", SILENT, BENCH_SILENT="1"),
        _locked("fastapi", "fastapi"),
        ("W1", "W2"),
    ),
    Contender(
        "fastapi-tuned", "FastAPI tuned", _uvicorn("fastapi_tuned", "app:app"), _locked("fastapi_tuned", "fastapi")
    ),
    Contender("litestar", "Litestar", _uvicorn("litestar", "app:served"), _locked("litestar", "litestar")),
    Contender("blacksheep", "BlackSheep", _uvicorn("blacksheep", "app:served"), _locked("blacksheep", "blacksheep")),
    Contender("fastify", "Fastify", _node("fastify"), _package("fastify")),
    Contender("express", "Express", _node("express"), _package("express")),
    Contender("go", "Go net/http", _go, _go_version),
)
NAMES = tuple(one.name for one in CONTENDERS)
