"""Migrate up, down and up under load, and kill migrations at many points, on PostgreSQL and on SQLite.

A chain of revisions, planned from one change of a model after another (columns added, filled, made unique, indexed,
widened and dropped, a reference), is run, taken back and run again while a service answers 200 requests a second:
none may fail. Then, on a copy of the database each time, a migration is killed with SIGKILL before, in or after one of
its statements, and run again: it must come to its end, every row must be there, and the whole catalog must be that of a
fresh install.

    scripts/drill migrate --count 50 --seed 7
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
from catalog import differing, postgres_catalog, sqlite_catalog
from depot import SETTINGS, Depot, fill_postgres, fill_sqlite, row_id, versions, write_sources
from open_loop import END, Found, Generator, Request
from own_postgres import OwnServer, own_server
from served import HERE, PRODUCTION, Broken, head, parse, quantile, verdict

ROWS = 5000
CONNECTIONS = 400
FAR = 3600.0
BOUND_SECONDS = 2.0
"""The longest that 99 of 100 answers may take while a migration runs."""

_ROWS = "SELECT count(*), count(DISTINCT mark || code), min(price), max(price), count(updated_at) FROM depot_parcel"


class Runner:
    """The process whose children run migrations."""

    def __init__(self, package: Path | None) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "migration_runner.py")],
            env=environ | ({"PYTHONPATH": str(package)} if package is not None else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, **order: Any) -> dict[str, Any]:
        """Give an order, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise Broken("the runner of migrations ended")
        told: dict[str, Any] = json.loads(answer)
        return told

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Sqlite:
    """Databases that are files."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str) -> str:
        """Make an empty database; return its URL."""
        path = self._folder / f"{name}.sqlite3"
        path.unlink(missing_ok=True)
        return f"sqlite:///{path}"

    def fill(self, url: str, rows: int) -> None:
        """Put rows in."""
        fill_sqlite(self._path(url), rows)

    def copy(self, url: str, name: str) -> str:
        """Make a database that holds what another one holds."""
        made = self.make(name)
        shutil.copyfile(self._path(url), self._path(made))
        return made

    def catalog(self, url: str) -> dict[str, list[Any]]:
        """Return what it says of its schema."""
        return sqlite_catalog(self._path(url))

    def ask(self, url: str, query: str) -> list[list[str]]:
        """Return the rows of a query, as text."""
        with contextlib.closing(sqlite3.connect(self._path(url))) as connection:
            return [[*map(str, row)] for row in connection.execute(query)]

    def drop(self, url: str) -> None:
        """Take it away."""
        self._path(url).unlink()

    @staticmethod
    def _path(url: str) -> Path:
        return Path(url.removeprefix("sqlite:///"))


class Postgres:
    """Databases of one server."""

    name = "postgres"

    def __init__(self, server: OwnServer) -> None:
        self._server = server

    def make(self, name: str, template: str = "template0") -> str:
        """Make an empty database; return its URL."""
        self._do(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{self._server.url.rpartition('/')[0]}/{name}"

    def fill(self, url: str, rows: int) -> None:
        """Put rows in."""
        asyncio.run(fill_postgres(url, rows))

    def copy(self, url: str, name: str) -> str:
        """Make a database that holds what another one holds."""
        return self.make(name, url.rpartition("/")[2])

    def catalog(self, url: str) -> dict[str, list[Any]]:
        """Return what it says of its schema."""
        return asyncio.run(postgres_catalog(url))

    def ask(self, url: str, query: str) -> list[list[str]]:
        """Return the rows of a query, as text."""

        async def fetch() -> list[list[str]]:
            connection = await asyncpg.connect(url)
            try:
                return [[*map(str, row)] for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def drop(self, url: str) -> None:
        """Take it away, and end who is still at work there."""
        self._do(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _do(self, *statements: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self._server.url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(execute())


Databases = Sqlite | Postgres


class Chain:
    """The revisions, in a project of the last version, and the folder that holds the first one only."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self.project = folder / "next"
        self.files = self.project / "migrations"
        self.files.mkdir(parents=True)
        self.names: list[str] = runner.order(do="plan", sources=write_sources(folder), folder=str(self.files))[
            "revisions"
        ]
        (self.project / "depot.py").write_text(list(versions())[-1][1])
        (self.project / "mainstay.toml").write_text(SETTINGS)
        self.first = self.files / f"{self.names[0]}.py"
        self.base = folder / "base"
        self.base.mkdir()
        shutil.copy(self.first, self.base)


class Drill:
    """What all parts need."""

    def __init__(self, folder: Path, wanted: Any, runner: Runner, databases: Databases) -> None:
        self.folder = folder / databases.name
        self.folder.mkdir()
        self.wanted = wanted
        self.runner = runner
        self.databases = databases
        self.chain = Chain(self.folder, runner)
        self.chance = random.Random(wanted.seed)
        self.base = self._based("base")
        self.fresh = databases.make("fresh")
        self.events: int = self.migrated(self.fresh)["events"]
        self.catalog = databases.catalog(self.fresh)

    def _based(self, name: str) -> str:
        url = self.databases.make(name)
        told = self.runner.order(do="migrate", database=url, folder=str(self.chain.base), kill=None)
        if told["said"]:
            raise Broken(told["said"])
        self.databases.fill(url, ROWS)
        return url

    def migrated(self, url: str, kill: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the migrations, killed or not."""
        return self.runner.order(do="migrate", database=url, folder=str(self.chain.files), kill=kill)

    def rows(self, url: str) -> list[list[str]]:
        """Return figures of the rows by which one that is lost, doubled or changed is seen."""
        return self.databases.ask(url, _ROWS)

    # --- up, down and up under load

    def loaded(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run the chain, take it back and run it again under load, several times."""
        url = self.databases.copy(self.base, "loaded")
        place = self.folder / "served"
        place.mkdir()
        depot = Depot(place, self.chain.first, url, package=self.wanted.package)
        try:
            depot.start()
            load = Load(depot.port, self.wanted.rate, self.wanted.seed)
            try:
                faults = self._ups_and_downs(url, load)
            finally:
                found = load.end()
            faults |= load.faults(depot)
            depot.stop()
        finally:
            depot.end()
        lost = [int(self.rows(url)[0][0]) - ROWS - found.statuses["bring", 201]]
        faults |= {"rows_lost_or_doubled": lost} if any(lost) else {}
        return faults, load.told()

    def _ups_and_downs(self, url: str, load: Load) -> dict[str, Any]:
        """Return what was wrong with what the commands did."""
        time.sleep(1)
        for number in range(max(1, self.wanted.count // 10)):
            for action in ("up", "down", "up") if number == 0 else ("down", "up"):
                load.begin(action)
                down = ("rollback", "--steps", str(len(self.chain.names) - 1))
                said = self._command(url, "db", *(("migrate", "--phase", "contract") if action == "up" else down))
                load.finish()
                if said:
                    return {f"{action}_failed": said}
                time.sleep(0.3)
        differences = differing(self.catalog, self.databases.catalog(url))
        return {"catalog": differences[:5]} if differences else {}

    def _command(self, url: str, *arguments: str) -> str:
        """Run a command in the project of the last version; return what it complained of."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
        package = self.wanted.package
        done = subprocess.run(
            [sys.executable, "-m", "mainstay", *arguments],
            cwd=self.chain.project,
            env={
                **kept,
                **PRODUCTION,
                "MAINSTAY_DATABASE_URL": url,
                **({"PYTHONPATH": str(package)} if package is not None else {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return done.stderr if done.returncode else ""

    # --- killed

    def killed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Kill a migration at many points, each on a copy of the database, and run it again."""
        faults: dict[str, Any] = {}
        kills: Counter[str] = Counter()
        before = self.rows(self.base)
        for number in range(self.wanted.count):
            url = self.databases.copy(self.base, f"killed{number}")
            kill = self._kill(number)
            first = self.migrated(url, kill)
            kills[kill["when"] if first["killed"] else "came to its end first"] += 1
            found = self._resumed(url, before)
            if found:
                faults[f"{kill}"] = found
            self.databases.drop(url)
        return faults, {"kills": dict(kills), "events": self.events}

    def _kill(self, number: int) -> dict[str, Any]:
        """Return a point to kill at: all over the run, and of all kinds."""
        at = 1 + number * self.events // self.wanted.count
        when = ("before", "during", "after")[number % 3]
        return {"at": at, "when": when, "delay": round(self.chance.random() * 0.03, 4)}

    def _resumed(self, url: str, before: list[list[str]]) -> dict[str, Any]:
        """Run the migration again, and return what is wrong then."""
        again = self.migrated(url)
        if again["killed"] or again["said"]:
            return {"not_resumed": again["said"][-1500:] or again["killed"]}
        found = {"catalog": differing(self.catalog, self.databases.catalog(url))[:5]}
        rows = self.rows(url)
        return {name: what for name, what in found.items() if what} | (
            {"rows": [before, rows]} if rows != before else {}
        )


class Load:
    """Requests at a rate, sent from a thread of their own, and what came of them by phase."""

    def __init__(self, port: int, rate: float, seed: int) -> None:
        self._generator = Generator(port, requests(), CONNECTIONS, seed)
        self._rate = rate
        self._phases: list[tuple[str, float, float]] = []
        self._ending = threading.Event()
        self._begun = time.monotonic()
        self._found: Found | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._begun = time.monotonic()
        self._found = self._generator.open(self._rate, FAR, lambda _: END if self._ending.is_set() else None)

    def begin(self, phase: str) -> None:
        """Note that something begins."""
        self._phases.append((phase, time.monotonic() - self._begun, FAR))

    def finish(self) -> None:
        """Note that it has ended."""
        phase, since, _ = self._phases[-1]
        self._phases[-1] = (phase, since, time.monotonic() - self._begun)

    def end(self) -> Found:
        """Send nothing more, wait for the answers, and return what was found."""
        self._ending.set()
        self._thread.join()
        self._generator.close()
        assert self._found is not None
        return self._found

    def faults(self, depot: Depot) -> dict[str, Any]:
        """Return what went wrong with requests."""
        found = self._found
        assert found is not None
        failed = {f"{name} {status}": n for (name, status), n in found.statuses.items() if status >= 400}
        faults: dict[str, Any] = {"failed": failed} if failed else {}
        if found.lost or found.unsent:
            faults["lost_or_unsent"] = [found.lost, found.unsent]
        slow = {f"{phase} {n}": p99 for n, (phase, p99) in enumerate(self._quantiles()) if p99 > BOUND_SECONDS}
        faults |= {"p99_seconds": slow} if slow else {}
        if faults:
            faults |= {"codes": dict(found.codes), "tracebacks": depot.tracebacks()[:2]}
        return faults

    def _quantiles(self) -> list[tuple[str, float]]:
        assert self._found is not None
        return [(phase, self._found.p(0.99, since, until)) for phase, since, until in self._phases]

    def told(self) -> dict[str, Any]:
        """Return the figures."""
        found = self._found
        assert found is not None
        return {
            "requests": found.sent,
            "a_second": round(found.rate),
            "failed": sum(n for (_, status), n in found.statuses.items() if status >= 400) + found.lost + found.unsent,
            "phases": [
                {
                    "phase": phase,
                    "seconds": round(until - since, 1),
                    "p99_ms": round(1000 * found.p(0.99, since, until)),
                }
                for phase, since, until in self._phases
            ],
            "p99_ms": round(1000 * quantile(found.served, 0.99), 1),
            "max_ms": round(1000 * quantile(found.served, 1), 1),
            "generator_late_p99_ms": round(1000 * quantile(found.late, 0.99), 1) if found.late else 0.0,
        }


def requests() -> list[Request]:
    """Return what is asked for: rows are read, listed, added and changed."""
    ids = [row_id(number) for number in range(0, ROWS, 7)]
    return [
        Request("list", 100, head("GET", "/parcels", b"", {})),
        Request("bring", 200, _posted("/parcels", {"mark": "brought"})),
        *(Request("look", 1, head("GET", f"/parcels/{one}", b"", {})) for one in ids[:300]),
        *(Request("turn", 1, _posted(f"/parcels/{one}", {"quantity": 1})) for one in ids[300:600]),
    ]


def _posted(path: str, body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    return head("POST", path, raw, {}) + raw


@contextlib.contextmanager
def databases_of(name: str, folder: Path) -> Iterator[Databases]:
    """Have a server, or a folder for files."""
    if name == "sqlite":
        yield Sqlite(folder)
        return
    with own_server() as server:
        yield Postgres(server)


PARTS = (("postgres", "loaded"), ("sqlite", "loaded"), ("postgres", "killed"), ("sqlite", "killed"))


def main(arguments: Sequence[str]) -> int:
    """Kill ``--count`` times on each database; ``--only NUMBER`` does one part."""
    wanted = parse(arguments, __doc__, only=-1, rate=200)
    parts = PARTS if wanted.only < 0 else PARTS[wanted.only : wanted.only + 1]
    faults: dict[str, Any] = {}
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="drill-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        runner = Runner(wanted.package)
        stack.callback(runner.end)
        drills: dict[str, Drill] = {}
        for database, part in parts:
            if database not in drills:
                databases = stack.enter_context(databases_of(database, folder))
                drills[database] = Drill(folder, wanted, runner, databases)
            found, told[f"{database}_{part}"] = getattr(drills[database], part)()
            print(f"{database} {part}: {json.dumps(told[f'{database}_{part}'])}", flush=True)
            faults |= {f"{database}_{part}": found} if found else {}
    return verdict(faults, seed=wanted.seed, rate=wanted.rate, rows=ROWS, parts=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
