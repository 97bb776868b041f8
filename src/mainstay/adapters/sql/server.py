"""What transactions must know of the database server that they are on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Generic

from mainstay.adapters.sql.catalog import Catalog
from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.pooling import L
from mainstay.adapters.sql.server_engine import ServerEngine
from mainstay.adapters.sql.server_writing import Group, Writer
from mainstay.adapters.sql.writes import Write


class Server(ABC, Generic[L]):
    """What transactions must know of their server: its engine, its dialect, and how its writes go together."""

    engine: ServerEngine[L]
    dialect: Dialect
    catalog: Catalog
    streams: bool
    """Whether a connection with an open cursor can be asked for more."""

    @abstractmethod
    def text(self, statement: str) -> str:
        """Return a statement as the driver takes it."""

    @abstractmethod
    def grouped(self, writes: Sequence[Write]) -> Iterator[Group]:
        """Part writes, in their order, into groups of which each takes one round trip."""

    @abstractmethod
    def stands_alone(self, group: Group) -> bool:
        """Whether a group outside of any transaction undoes itself where it fails."""

    @abstractmethod
    def writer(self, link: L, timeout: float | None, begin: str) -> Writer[L]:
        """Return what carries writes out on a connection. ``begin`` begins the command's transaction."""

    @abstractmethod
    async def commit_alone(self, group: Group, alone: Callable[[], Awaitable[None]], patience: float | None) -> None:
        """Commit a group that is a command by itself, by ``alone`` or together with others."""

    def stream(self, link: L, text: str, bindings: Sequence[Any], batch: int) -> AsyncGenerator[list[Row], None]:
        """Give the rows of a read in batches, by a cursor of the open transaction: asked only where it ``streams``."""
        raise NotImplementedError
