"""What can be set of state that replicas share: limits, the cache, signals and leaderboards."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from mainstay.app.settings.section import Count, Section
from mainstay.model.values import Secret

Wait = Annotated[int, Meta(ge=10, le=10_000)]


class Shared(Section, frozen=True):
    """A part that may be in a server for all replicas: ``cache = "redis://..."`` says no more than its ``url``."""

    short: ClassVar[str] = "url"
    url: Secret[str] = Secret("")  # redis://host:6379/0; empty: what needs no server
    timeout_ms: Wait = 250  # until the server counts as away


class Limits(Shared, frozen=True):
    """How rate limits are counted: ``auto`` shares one table among the workers of a host where there are several.

    ``path`` is the file of that table, for processes that no supervisor of ours started (an ASGI server's workers).
    With a ``url`` all hosts share their counts, and the engine counts only while that server is away.
    """

    engine: Literal["auto", "memory", "shared"] = "auto"
    path: str = ""
    keys: Annotated[int, Meta(ge=1024, le=10**8)] = 65_536
    away: Literal["local", "refuse"] = "local"  # of the server: each host counts for itself, or calls are refused


class Cache(Shared, frozen=True):
    """Where values are cached: in each process, and in front of a server too where there is a ``url``."""

    size: Count = 10_000  # values in each process
    shared_size: Count = 100_000  # values in the server


class Signals(Shared, frozen=True):
    """What carries signals: nothing, within each process, or a server to all of them."""


class Leaderboards(Shared, frozen=True):
    """Where leaderboards are: in the service's database, or in a server."""
