"""What the tests of the SQL adapter share."""

from __future__ import annotations

from sqlite_engines import engine, make

__all__ = ["engine", "make"]
