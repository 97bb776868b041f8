"""Alembic's ``op``, of which a process has one: who runs revision files has it alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from alembic.operations import Operations

# ``alembic.op`` is a module that stands for the operations installed last. Two threads that run files at once (of two
# databases, or two runners of one) would find each other's operations there, or none. It is the last lock taken:
# of its database before, nothing behind it, so nobody waits for it and holds what its holder wants.
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def operating(operations: Operations) -> Iterator[None]:
    """Have revision files find these operations as ``op``; other threads wait for the end."""
    with _ONE_AT_A_TIME:
        operations._install_proxy()
        try:
            yield
        finally:
            operations._remove_proxy()
