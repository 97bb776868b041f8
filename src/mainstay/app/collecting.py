"""The cyclic garbage collector of a process that serves: it looks at what calls leave behind, and not at all else."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = (5_000, 20, 50)
"""Allocations before a young collection, and how many of those before an older one: measured in ADR 93."""


@contextmanager
def settled() -> Iterator[None]:
    """Set what was made at start-up apart from the collector while calls are served, and let it collect less often.

    A service is a hundred thousand objects that live as long as the process. Reference counts free what a call makes;
    the collector is there for the cycles among them, and walks all that it knows to find them.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
