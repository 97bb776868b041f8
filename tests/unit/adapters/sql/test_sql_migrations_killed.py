"""A file that a killed migration left with a journal is read as it was before: by whoever only wants to look, too."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from mainstay.adapters.sql.migrations.database import reading
from mainstay.adapters.sql.migrations.state import read_revision, read_schema


@pytest.fixture
def half_done(tmp_path: Path) -> Path:
    """A copy of a file in the midst of a transaction that has written to it already, and of its journal."""
    path, copy = tmp_path / "whole.db", tmp_path / "half.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA synchronous = FULL; CREATE TABLE book (id INTEGER PRIMARY KEY, text TEXT);")
    connection.execute("INSERT INTO book (text) VALUES ('kept')")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ALTER TABLE book ADD COLUMN half INTEGER")
    connection.executemany("INSERT INTO book (text) VALUES (?)", (("x" * 4000,) for _ in range(200)))
    for ending in ("", "-journal"):
        shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
    connection.execute("ROLLBACK")
    connection.close()
    assert (tmp_path / "half.db-journal").stat().st_size > 0
    return copy


def test_the_schema_is_that_of_before(half_done: Path) -> None:
    assert read_schema(half_done) == {"book": {"id", "text"}}


def test_the_revision_is_that_of_before(half_done: Path) -> None:
    assert read_revision(half_done) is None


def test_the_rows_are_those_of_before_and_nothing_is_written(half_done: Path) -> None:
    with reading(half_done) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM book").scalar() == 1
        with pytest.raises(Exception, match="readonly"):
            connection.exec_driver_sql("DELETE FROM book")
