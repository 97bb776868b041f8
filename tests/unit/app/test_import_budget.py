"""What a process may have in memory: a worker what serves calls, a supervisor what watches over workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SHOP = Path(__file__).parents[3] / "examples" / "shop"
ENVIRON = {
    "MAINSTAY_PROFILE": "production",
    "MAINSTAY_AUTH_KEY": "a signing key that only tests know, long enough",
    "MAINSTAY_SEALING_SECRET": "a sealing value that only tests know, long enough",
}

# Each was there once, and cost what is said: MB of resident memory, beside its part of the start.
NOT_IN_A_WORKER = {
    "sqlalchemy",  # 15
    "alembic",
    "prometheus_client",  # 6
    "sqlite3",  # 3: a second SQLite
    "html",
    "zipfile",
    "importlib.resources",
    "importlib.metadata",
    "joserfc",
    "argparse",
    "http.client",
    "http.server",
    "urllib.request",
    "email.message",
    "multiprocessing",
    "granian",
    "uvicorn",
    "pytest",
    "mainstay.cli",
    "mainstay.testing",
    "mainstay.adapters.sql.tables",
}
NOT_IN_A_SUPERVISOR = NOT_IN_A_WORKER - {"argparse", "mainstay.cli"} | {
    "ssl",
    "uvloop",
    "apsw",
    "httptools",
    "cachebox",
    "cryptography",
    "mainstay.kernel",
    "mainstay.app.assembly",
    "mainstay.inbound.http.door",
    "mainstay.adapters.sql",
}

SERVE = """
import asyncio, sys
from pathlib import Path
import mainstay.app.worker
from mainstay.app.assembly import assemble
from mainstay.app.doors import documents_for, make_doors
from mainstay.app.importing import import_service
from mainstay.app.migrating import migrations_of
from mainstay.app.observing import make_observing
from mainstay.app.serving import run_loop
from mainstay.app.settings import load

async def serve():
    settings = load(Path.cwd())
    observing = make_observing(settings)
    application = assemble(import_service(settings), settings, observer=observing.observer)
    doors = make_doors(application, observing=observing, siblings=None, documents=documents_for(application))
    assert doors.admin is not None
    migrations_of(settings, application.bound.tables).check()
    async with application:
        observing.watch(application)
        assert b"mainstay_loop_tasks" in observing.render([observing.metrics.snapshot()])
    return 0

run_loop(serve())
"""
WATCH = """
import sys
import mainstay.cli.commands.run, mainstay.cli.announcing
import mainstay.app.launching, mainstay.app.supervisor
from pathlib import Path
from mainstay.adapters.local.clock import SystemClock
from mainstay.app.logs import make_log
from mainstay.app.settings import load
make_log(load(Path.cwd()), SystemClock())
"""


def run(folder: Path, *command: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environ | ENVIRON, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(folder: Path, code: str) -> set[str]:
    """Return the modules that are there after some code was run in a new process."""
    return set(run(folder, "-P", "-c", f"{code}\nprint(' '.join(sys.modules))").split())


def test_a_worker_has_what_serves_and_nothing_else(tmp_path: Path) -> None:
    for part in ("shop", "migrations"):
        shutil.copytree(SHOP / part, tmp_path / part)
    shutil.copy(SHOP / "mainstay.toml", tmp_path)
    run(tmp_path, "-m", "mainstay", "db", "migrate")
    assert loaded(tmp_path, SERVE) & NOT_IN_A_WORKER == set()


def test_a_supervisor_has_nothing_of_the_service(tmp_path: Path) -> None:
    shutil.copy(SHOP / "mainstay.toml", tmp_path)
    assert loaded(tmp_path, WATCH) & NOT_IN_A_SUPERVISOR == set()
