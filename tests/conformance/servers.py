"""The servers that the suites of some stores need, and a place of its own in them for each test."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

PREFIX = f"mainstay_{os.getpid()}_"
"""What the names of everything that this process makes in a server begin with."""


def server(variable: str) -> str:
    """Return the URL of a server; fail where none is given."""
    url = os.environ.get(variable)
    if not url:
        pytest.fail(
            f'{variable} is not set: run scripts/services up, and eval "$(scripts/services env)"', pytrace=False
        )
    return url


def name_of(folder: Path) -> str:
    """Return a name for what belongs to a folder: two stores of one folder are on the same rows."""
    return PREFIX + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


@contextmanager
def mongo_database(folder: Path) -> Iterator[str]:
    """Have the URL of a database for a folder in the MongoDB server; behind the block, what was made there is gone."""
    base, name = server("MAINSTAY_TEST_MONGO"), name_of(folder)
    try:
        yield base.replace("/?", f"/{name}?")
    finally:
        client: MongoClient[Any] = MongoClient(base)
        with client:
            client.drop_database(name)
