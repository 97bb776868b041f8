"""A SQLite file as migrations see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay.adapters.sql.migrations.state import read_revision, read_schema
from mainstay.adapters.sql.migrations.target import T, Target

if TYPE_CHECKING:
    import sqlalchemy as sa


class SqliteTarget(Target):
    """One file."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    def schema(self) -> dict[str, set[str]]:
        return read_schema(self.path)

    def revision(self) -> str | None:
        return read_revision(self.path) if self.path.exists() else None

    def held(self, work: Callable[[sa.Connection], T], wait_seconds: float) -> T:
        from mainstay.adapters.sql.migrations.database import held

        with held(self.path, wait_seconds) as connection:
            return work(connection)

    def reading(self, work: Callable[[sa.Connection], T]) -> T:
        from mainstay.adapters.sql.migrations.database import reading

        with reading(self.path) as connection:
            return work(connection)
