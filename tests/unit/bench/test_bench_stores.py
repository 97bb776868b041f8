"""Rows in a file or on a server: what contenders are told, what is counted, where PostgreSQL is found."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench import __main__ as command
from bench import checks, mariadb, peers, postgres, processes, report, stores
from bench.stores import MARIADB, POSTGRESQL, RUN, SQLITE, MariaDatabase, PostgresDatabase, SqliteFile, Unfit, opened
from bench.workloads import WORKLOADS
from mysql_databases import server_url

URL = "postgresql://bench@127.0.0.1:5433/postgres"


def installed(root: Path, version: str) -> Path:
    folder = root / "usr/lib/postgresql" / version / "bin"
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).touch()
    return folder


def test_the_newest_postgresql_is_taken(tmp_path: Path) -> None:
    installed(tmp_path, "9.6")
    installed(tmp_path, "15")
    newest = installed(tmp_path, "17")
    (tmp_path / "usr/lib/postgresql/18/bin").mkdir(parents=True)  # a client without a server
    assert postgres.binaries(tmp_path) == newest


def test_without_postgresql_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(postgres.Missing, match=r"apt-get install postgresql.*MAINSTAY_TEST_POSTGRES="):
        postgres.binaries(tmp_path)


def test_the_bench_says_that_postgresql_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Path:
        raise postgres.Missing("there is no PostgreSQL here")

    monkeypatch.delenv(postgres.NAMED, raising=False)
    monkeypatch.setattr(postgres, "binaries", missing)
    monkeypatch.setattr(command, "TOOLS", {})
    monkeypatch.setattr(command, "WORK", tmp_path)
    assert command.main(["--store", "postgresql", "--quick"]) == 2
    assert "bench: there is no PostgreSQL here" in capsys.readouterr().err


def test_a_server_that_cannot_be_reached_is_told_by_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres.NAMED, f"postgresql://bench@127.0.0.1:{processes.free_port()}/postgres")
    with pytest.raises(postgres.Missing, match="MAINSTAY_TEST_POSTGRES cannot be used"), postgres.cluster():
        pass


@pytest.mark.parametrize(("user", "words"), [(0, ["setpriv", "--reuid=postgres"]), (1000, [])])
def test_root_starts_it_under_another_account(user: int, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert postgres.as_account()[:2] == words


def test_a_database_on_the_server_is_named_to_all_alike() -> None:
    data = PostgresDatabase(postgres.Cluster(f"{URL}?sslmode=disable", None, lasting=False), "bench_go")
    assert data.told == data.url == "postgresql://bench@127.0.0.1:5433/bench_go?sslmode=disable"


def test_a_server_elsewhere_has_no_processes_to_be_seen() -> None:
    data = PostgresDatabase(postgres.Cluster(URL, None, lasting=True), "bench_go")
    assert (data.here, data.pids(), data.cpu()) == (False, [], 0.0)


@pytest.mark.parametrize("name", ["postgres: bench bench_go", "something else"])
def test_the_main_process_is_found_by_one_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        """Served by a process that the test started."""

        async def fetchval(self, _: str) -> int:
            return backend.pid

        async def close(self) -> None:
            pass

    async def connect(*_: object, **__: object) -> Connection:
        return Connection()

    monkeypatch.setattr(postgres.asyncpg, "connect", connect)
    with subprocess.Popen([name, "60"], executable=shutil.which("sleep")) as backend:
        while not Path(f"/proc/{backend.pid}/cmdline").read_bytes():
            time.sleep(0.001)  # its name is there a moment after its start
        found = postgres._main_process(URL)
        backend.kill()
    assert found == (os.getpid() if name.startswith("postgres:") else None)


def test_flushes_are_looked_for_in_the_store_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = PostgresDatabase(postgres.Cluster(URL, None, lasting=True), "bench_go")
    server: Any = SimpleNamespace(name="go", table="items", data=data)
    counts = iter([(0, 0), (10, 10)])
    monkeypatch.setattr(checks, "_counts", lambda _: next(counts))
    monkeypatch.setattr(checks, "ask", lambda *_, **__: (201, {}, ""))
    assert "on another machine" in checks.durable(server)


@pytest.mark.parametrize(("fsync", "commit"), [("off", "on"), ("on", "off")])
def test_a_server_that_does_not_flush_is_unfit(fsync: str, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def row(*_: object) -> tuple[object, ...]:
        return 3, 4, fsync, commit

    monkeypatch.setattr(postgres, "row", row)
    data = PostgresDatabase(postgres.Cluster(URL, None, lasting=True), "bench_go")
    with pytest.raises(Unfit, match="is off"):
        data.counts("items", "outbox")
    fsync = commit = "on"
    assert data.counts("items", "outbox") == [3, 4]


def test_rows_of_a_file_are_counted_and_its_journal_is_looked_at(tmp_path: Path) -> None:
    data = SqliteFile(tmp_path / "one.sqlite3")
    with sqlite3.connect(data.told) as connection:
        connection.execute("CREATE TABLE items (id)")
        connection.execute("INSERT INTO items VALUES (1)")
    with pytest.raises(Unfit, match="not wal"):
        data.counts("items")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert data.counts("items", "items") == [1, 1]
    assert (data.pids(), data.cpu()) == ([], 0)


def test_the_files_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    (tmp_path / "go.sqlite3-wal").touch()
    with stores.opened(SQLITE, tmp_path) as store:
        assert not list(tmp_path.iterdir())
        assert store.data("go").url == f"sqlite:///{tmp_path}/go.sqlite3"


def test_on_postgresql_the_workloads_with_rows_are_run_by_all_who_run_them() -> None:
    workloads = [one for one in WORKLOADS if one.name in RUN[POSTGRESQL]]
    assert [one.name for one in workloads] == ["W4", "W5", "W6"]
    absent = {one.name for one in peers.CONTENDERS if not one.runs(workloads)}
    assert absent == {peers.SILENT}
    assert set(report.GATES[POSTGRESQL]) <= set(RUN[POSTGRESQL])


def test_a_workload_without_rows_is_refused_on_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--store", "postgresql", "--workloads", "W1"])
    assert "W1 is not known; there are W4, W5, W6" in capsys.readouterr().err


def test_a_tree_has_the_processes_that_were_started_and_their_seconds() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        found = processes.tree(process.pid)
        assert found[0] == process.pid
        assert len(found) == 2
        assert processes.seconds(found) >= processes.seconds([process.pid])
        process.communicate(b"\n")
    assert processes.seconds(found) == 0


def test_without_mariadb_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mariadb, "_PLACES", ())
    with pytest.raises(postgres.Missing, match=r"apt-get install mariadb-server.*MAINSTAY_TEST_MARIADB="):
        mariadb.program("mariadbd")


def test_a_named_mariadb_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mariadb.NAMED, f"mysql://bench@127.0.0.1:{processes.free_port()}/bench")
    with pytest.raises(postgres.Missing, match="MAINSTAY_TEST_MARIADB cannot be used"), mariadb.cluster():
        pass


@pytest.mark.parametrize(("flushed", "doubled"), [(1, "ON"), (2, "ON"), (1, 0)])
def test_a_mariadb_that_may_lose_a_commit_is_unfit(
    monkeypatch: pytest.MonkeyPatch, flushed: int, doubled: object
) -> None:
    async def row(_url: str, statement: str) -> tuple[object, ...]:
        assert statement.startswith("SELECT (SELECT count(*) FROM items), ")
        return 7, flushed, doubled

    monkeypatch.setattr(mariadb, "row", row)
    server = postgres.Cluster("mysql://bench:secret@127.0.0.1:3306/mysql", None, lasting=True)
    data = MariaDatabase(server, "mainstay_bench_go")
    assert data.told == "mysql://bench:secret@127.0.0.1:3306/mainstay_bench_go"
    if flushed == 1 and doubled:
        assert data.counts("items") == [7]
    else:
        with pytest.raises(Unfit, match="innodb_flush_log_at_trx_commit"):
            data.counts("items")


def test_databases_of_a_named_mariadb_are_made_and_taken_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(mariadb.NAMED, server_url())
    with opened(MARIADB, tmp_path) as store:
        data = store.data("fastapi-tuned")
        assert data.told.endswith("/mainstay_bench_fastapi_tuned")
        asyncio.run(mariadb._run(data.told, "CREATE TABLE items (id INT)"))
        store.ready()
        assert data.counts("items") == [0]
        assert data.pids()
        assert store.about.startswith("MariaDB ")
    with pytest.raises(mariadb.MySQLError, match="Unknown database"):
        data.counts("items")
