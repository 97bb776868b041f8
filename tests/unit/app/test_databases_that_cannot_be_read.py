"""A database that is held, or is none, is told in plain words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from mainstay.app.migrating import Migrations
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrations:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0))
    environ = {"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": "sqlite:///held.sqlite"}
    return Migrations(load(tmp_path, environ=environ), [])


def test_one_that_another_process_holds(migrations: Migrations) -> None:
    with closing(sqlite3.connect(migrations.database, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Refusal, match="is held by another process"):
            migrations.missing()


def test_one_that_is_none(migrations: Migrations) -> None:
    migrations.database.write_bytes(b"not a database " * 300)
    with pytest.raises(Refusal, match="is no database that can be read: file is not a database"):
        migrations.missing()
