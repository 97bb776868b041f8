"""Watching what a store is asked for: chosen at start-up, where tests, development or ``explain`` want to know."""

from mainstay.adapters.observe.statements.rehearsed import RehearsedStore
from mainstay.adapters.observe.statements.repeated import RepeatedReads
from mainstay.adapters.observe.statements.store import WatchedStore

__all__ = ["RehearsedStore", "RepeatedReads", "WatchedStore"]
