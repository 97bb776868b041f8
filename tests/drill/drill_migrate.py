"""Migrate up, down and up under load, and kill migrations at many points, on PostgreSQL, SQLite and MariaDB.

A chain of revisions, planned from one change of a model after another (columns added, filled, made unique, indexed,
widened and dropped, a reference), is run, taken back and run again while a service answers 200 requests a second:
none may fail. Then, on a copy of the database each time, a migration is killed with SIGKILL before, in or after one of
its statements, or once that is committed, and run again: it must come to its end, the rows must be what they are
without a kill, and the whole catalog must be that of a fresh install. MariaDB commits at each change of a schema: there
it is shown that the journal of statements stands in the place of a transaction, and the kills are among its own
statements too.

    scripts/drill migrate --count 50 --seed 7
    scripts/drill migrate --count 50 --seed 7 -- --store mariadb
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog import differing
from depot import SETTINGS, Depot, versions, write_sources
from depot_load import Load
from served import HERE, PRODUCTION, Broken, parse, verdict

sys.path.insert(0, str(HERE.parent / "plugins"))

from depot_databases import Databases, databases_of


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


class Chain:
    """The revisions, in a project of the last version, and the folder that holds the first one only."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self.project = folder / "next"
        self.files = self.project / "migrations"
        self.files.mkdir(parents=True)
        sources = write_sources(folder)
        self.first_model, self.model = sources[0][1], sources[-1][1]
        self.names: list[str] = runner.order(do="plan", sources=sources, folder=str(self.files))["revisions"]
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
        self.events = 0
        self.migrated(self.fresh)
        self.catalog = databases.catalog(self.fresh)
        self.contents = self._whole()

    def _based(self, name: str) -> str:
        url = self.databases.make(name)
        chain = self.chain
        told = self.runner.order(do="migrate", database=url, folder=str(chain.base), model=chain.first_model, kill=None)
        if told["said"]:
            raise Broken(told["said"])
        self.databases.fill(url, self.wanted.rows)
        return url

    def _whole(self) -> str:
        """Return what the rows are after migrations that nobody killed."""
        url = self.databases.copy(self.base, "whole")
        told = self.migrated(url)
        if told["said"]:
            raise Broken(told["said"])
        self.events = told["events"]
        return self.databases.contents(url)

    def migrated(self, url: str, kill: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the migrations, killed or not."""
        chain = self.chain
        return self.runner.order(do="migrate", database=url, folder=str(chain.files), model=chain.model, kill=kill)

    # --- up, down and up under load

    def loaded(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run the chain, take it back and run it again under load, several times."""
        url = self.databases.copy(self.base, "loaded")
        place = self.folder / "served"
        place.mkdir()
        depot = Depot(place, self.chain.first, url, package=self.wanted.package)
        try:
            depot.start()
            load = Load(depot.port, self.wanted)
            try:
                faults = self._ups_and_downs(url, load)
            finally:
                found = load.end()
            faults |= load.faults(depot)
            depot.stop()
        finally:
            depot.end()
        more = self.databases.count(url) - self.wanted.rows - found.statuses["bring", 201]
        faults |= {"rows_lost_or_doubled": more} if more else {}
        return faults, load.told()

    def _ups_and_downs(self, url: str, load: Load) -> dict[str, Any]:
        """Return what was wrong with what the commands did."""
        time.sleep(1)
        for number in range(max(1, self.wanted.count // 25)):
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
        for number in range(self.wanted.count):
            url = self.databases.copy(self.base, f"killed{number}")
            kill = self._kill(number)
            first = self.migrated(url, kill)
            kills[kill["when"] if first["killed"] else "came to its end first"] += 1
            found = self._resumed(url)
            if found:
                faults[f"{kill}"] = found
            self.databases.drop(url)
        return faults, {"kills": dict(kills), "events": self.events}

    def _kill(self, number: int) -> dict[str, Any]:
        """Return a point to kill at: all over the run, and of all kinds; or behind one of ``MOMENTS``."""
        if self.wanted.moment >= 0:
            when = "after" if self.databases.name == "mariadb" else "committed"  # there a statement commits itself
            return {"at": number + 1, "when": when, "text": MOMENTS[self.wanted.moment], "delay": 0}
        at = 1 + number * self.events // self.wanted.count
        return {"at": at, "when": KINDS[number % 4], "text": "", "delay": round(self.chance.random() * 0.03, 4)}

    def _resumed(self, url: str) -> dict[str, Any]:
        """Run the migration again, and return what is wrong then."""
        again = self.migrated(url)
        if again["killed"] or again["said"]:
            return {"not_resumed": again["said"][-1500:] or again["killed"]}
        found: dict[str, Any] = {}
        if differences := differing(self.catalog, self.databases.catalog(url)):
            found["catalog"] = differences[:5]
        if (contents := self.databases.contents(url)) != self.contents:
            found["contents"] = [self.contents, contents]
        return found


KINDS = ("before", "during", "after", "committed")
MOMENTS = ("ADD COLUMN", "ADD CONSTRAINT", "DROP COLUMN")
STORES = ("postgres", "sqlite", "mariadb")
PARTS = tuple((store, part) for part in ("loaded", "killed") for store in STORES)


def main(arguments: Sequence[str]) -> int:
    """Kill ``--count`` times on each database; ``--store`` has one of them, ``--part`` is ``loaded`` or ``killed``."""
    wanted = parse(arguments, __doc__, store="", part="", moment=-1, rate=200, rows=5000)
    parts = [each for each in PARTS if wanted.store in ("", each[0]) and wanted.part in ("", each[1])]
    if not parts:
        print(f"--store is one of {', '.join(STORES)}, --part is loaded or killed", file=sys.stderr)
        return 2
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
    return verdict(faults, seed=wanted.seed, rate=wanted.rate, rows=wanted.rows, parts=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
