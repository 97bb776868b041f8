"""Backups of MariaDB: one snapshot, the same rows again, and no password where others may see it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from mysql_databases import drop_database, make_database
from mysql_killed_runner import sql
from sql_shop import entity, thing

from mainstay.adapters.sql.backups import BackupFault
from mainstay.adapters.sql.backups.mysql import MysqlBackups, client_settings
from mainstay.adapters.sql.backups.mysql_dump import Counted
from mainstay.adapters.sql.migrations import MigrationFault, migrate, plan
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.model.fields import field

NASTY = "it's; (1),(2) \\ \" ` \n INSERT INTO `thing` VALUES (1) \x00 \U0001f600 -- /*"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    url = make_database(tmp_path)
    maker = entity("Maker", data=(bytes, b""))
    tables = [maker, thing(name=(str, field(default="", unique=True)), note=(str, "")), entity("Empty")]
    plan(tmp_path / "migrations", tables)
    migrate(MysqlTarget(url, tables), tmp_path / "migrations")
    yield url
    drop_database(tmp_path)


def fill(url: str, start: int, end: int) -> None:
    hexed = NASTY.encode().hex()
    values = ", ".join(f"(x'{n:032x}', 1, now(6), now(6), '{n}', x'{hexed}')" for n in range(start, end))
    sql(
        url,
        f"INSERT INTO thing VALUES {values}",
        f"INSERT INTO maker VALUES (x'{start:032x}', 1, now(6), now(6), x'00FF')",
    )


def test_a_database_is_dumped_and_comes_back(database: str, tmp_path: Path) -> None:
    fill(database, 1, 51)
    backups = MysqlBackups(database)
    made = backups.backup(tmp_path / "dump")
    rows = {"empty": 0, "mainstay_migration": 1, "maker": 1, "thing": 50}
    assert (made.revision, made.rows) == ("0001_initial_schema", rows)
    before = sql(database, "SELECT * FROM thing ORDER BY id", "SELECT * FROM maker", "SHOW CREATE TABLE thing")
    fill(database, 51, 60)
    sql(database, "CREATE TABLE other (id INT)", "CREATE VIEW seen AS SELECT id FROM thing")
    with pytest.raises(BackupFault, match="--replace"):
        backups.restore(tmp_path / "dump", replace=False)
    assert backups.restore(tmp_path / "dump", replace=True) == made
    again = sql(database, "SELECT * FROM thing ORDER BY id", "SELECT * FROM maker", "SHOW CREATE TABLE thing")
    assert again == before
    assert sql(database, "SHOW TABLES") == [[("empty",), ("mainstay_migration",), ("maker",), ("thing",)]]
    sql(database, *(f"DROP TABLE {name}" for name in rows))
    assert backups.restore(tmp_path / "dump", replace=False) == made
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_restore_with_other_rows_is_none(database: str, tmp_path: Path) -> None:
    fill(database, 1, 4)
    backups = MysqlBackups(database)
    backups.backup(tmp_path / "dump")
    told = (tmp_path / "dump.json").read_text()
    (tmp_path / "dump.json").write_text(told.replace('"thing": 3', '"thing": 4'))
    with pytest.raises(BackupFault, match="thing: 3 rows, 4 in the backup"):
        backups.restore(tmp_path / "dump", replace=True)


def test_what_is_in_the_way_is_told(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupFault, match="there is no such folder"):
        MysqlBackups(database).backup(tmp_path / "nowhere" / "dump")
    parts = urlsplit(database)
    other = urlunsplit(parts._replace(path="/mainstay_is_not_there"))
    with pytest.raises(MigrationFault, match="cannot be reached"):
        MysqlBackups(other).backup(tmp_path / "dump")
    (tmp_path / "dump").write_bytes(b"no statement;\n")
    (tmp_path / "dump.json").write_text('{"store": "mysql", "revision": null, "rows": {}}')
    with pytest.raises(BackupFault, match=r"(?s)mariadb failed: .*error in your SQL syntax"):
        MysqlBackups(database).restore(tmp_path / "dump", replace=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFault, match=r"neither mariadb-dump nor mysqldump is there: .*mariadb-client"):
        MysqlBackups(database).backup(tmp_path / "new")
    with pytest.raises(BackupFault, match="neither mariadb nor mysql is there"):
        MysqlBackups(database).restore(tmp_path / "dump", replace=True)


PRETENDED = """#!/bin/sh
test "$1" = --version && { echo "Ver 10 Distrib MariaDB"; exit; }
file=${1#--defaults-file=}
{ stat -c %a "$file"; cat "$file"; echo; echo "$@"; } > "$(dirname "$0")/seen"
echo "it is broken" >&2
exit 3
"""


def test_the_password_is_in_a_file_of_the_owners_and_a_dump_that_fails_leaves_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "mariadb-dump"
    program.parent.mkdir()
    program.write_text(PRETENDED)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(BackupFault, match="mariadb-dump failed: it is broken"):
        MysqlBackups(database).backup(tmp_path / "dump")
    assert not (tmp_path / "dump").exists()
    assert not list(tmp_path.glob("*.unfinished"))
    mode, *settings, command = (program.parent / "seen").read_text().splitlines()
    assert mode == "600"
    assert 'password="mainstay"' in settings
    assert "password" not in command
    assert not Path(command.split()[0].removeprefix("--defaults-file=")).exists()


SETTINGS: list[tuple[str, bool, list[str]]] = [
    (
        "mysql://me:p%22%40%5C%23@db:1/shop",
        True,
        ['host="db"', 'port="1"', 'user="me"', 'password="p"@\\\\#"', "skip-ssl"],
    ),
    ("mysql://db/shop?socket=/run/s", True, ['socket="/run/s"', "skip-ssl"]),
    ("mysql://db/shop?ssl-mode=required", True, ['host="db"', 'port="3306"', "ssl", "skip-ssl-verify-server-cert"]),
    ("mysql://db/shop?ssl-mode=verify-identity", True, ['host="db"', 'port="3306"', "ssl", "ssl-verify-server-cert"]),
    (
        "mysql://db/shop?ssl-mode=verify-ca",
        False,
        ['host="db"', 'port="3306"', "ssl-mode=VERIFY_CA", "get-server-public-key"],
    ),
]


@pytest.mark.parametrize(("url", "mariadb", "expected"), SETTINGS)
def test_a_client_is_told_where_the_database_is(url: str, mariadb: Any, expected: list[str]) -> None:
    assert client_settings(url, mariadb=mariadb) == ["[client]", *expected]


def test_a_password_that_no_client_takes_is_refused() -> None:
    with pytest.raises(BackupFault, match="line break"):
        client_settings("mysql://me:a%0Ab@db/shop", mariadb=True)


def test_rows_are_counted_in_the_way_that_both_servers_write_them() -> None:
    counted = Counted()
    for line in (
        b"CREATE TABLE `a``b` (\n",
        b"  `id` int\n",
        b"CREATE TABLE `none` (\n",
        b"INSERT INTO `a``b` VALUES (1,'it\\'s (1),(2);'),(2,'\\\\'),(3,NULL);\n",
        b"INSERT INTO `a``b` (`id`, `t`) VALUES\n",
        b"(4,'x'),\n",
        b"(5,'y;');\n",
        b"(not a row)\n",
        b"INSERT INTO `mainstay_migration` VALUES ('0002_more');\n",
    ):
        counted.take(line)
    assert counted.rows == {"a`b": 5, "none": 0, "mainstay_migration": 1}
    assert counted.revision == "0002_more"
