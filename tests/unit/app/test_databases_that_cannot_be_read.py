"""A database that is held, or is none, is told in plain words."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from mainstay.adapters.sql.migrations import state
from mainstay.app.migrating import Migrations
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrations:
    monkeypatch.setattr(state, "BUSY_MS", 0)
    environ = {"MAINSTAY_PROFILE": "test", "MAINSTAY_DATABASE_URL": "sqlite:///held.sqlite"}
    return Migrations(load(tmp_path, environ=environ), [])


def test_one_that_another_process_holds(migrations: Migrations) -> None:
    with closing(apsw.Connection(str(migrations.database))) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Refusal, match="is held by another process"):
            migrations.missing()


def test_one_that_is_none(migrations: Migrations) -> None:
    Path(str(migrations.database)).write_bytes(b"not a database " * 300)
    with pytest.raises(Refusal, match="is no database that can be read: file is not a database"):
        migrations.missing()


def test_one_that_is_not_there(migrations: Migrations) -> None:
    with pytest.raises(Refusal, match="cannot be opened"):
        migrations.missing()
