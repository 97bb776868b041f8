"""A store: where rows live. It makes transactions; a transaction commits all of its rows or none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Literal

import msgspec

from mainstay.model.operation import Isolation
from mainstay.model.problem import NotSupported
from mainstay.model.schema import Shape
from mainstay.model.structs import Entity
from mainstay.ports.rows import Rows


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """An entity as a store keeps it: its shape, the name of its table, and the module that it belongs to.

    ``words`` says that its rows are the words of another one's: nobody but a store that finds rows by such needs it.
    """

    shape: Shape
    name: str
    module: str
    words: bool = False


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a store can do.

    ``inline`` says that its short reads answer without waiting on the event loop; ``settles`` that what is read after a
    commit that ended unknown is the truth: it was not made durable in part. What goes beyond a bound, or asks for what
    the store cannot do, is refused as ``BeyondStore``.
    """

    inline: bool = False
    durable: bool = True
    shared: bool = True  # several processes may use it at once
    streaming: bool = True  # rows are streamed in any order in constant memory; else in the order of their ids only
    settles: bool = False
    merges: bool = False  # a row is added, or changes the one of its unique value, in one statement
    locks: bool = True  # a row that another command has locked is waited for; else who meets one is run again
    snapshots: bool = True  # all reads of a query see one moment; else each sees what is committed when it comes
    ordered_bytes: bool = True  # fields of bytes have an order, and not equality only
    words: Literal["beside", "within"] | None = None  # where the words of searchable fields are stored, if they are
    max_writes: int | None = None  # of one command, with what the store adds for rules and reads
    max_scan: int | None = None  # rows that one read may look through

    def lacks(self) -> tuple[str, ...]:
        """Return what use cases cannot rely on here, in words for who runs the service.

        Not whether it is durable or shared: who names such a store knows, and the settings see to the rest.
        """
        found = {
            "streams in another order than that of the ids are held in memory": not self.streaming,
            "a query of several reads may see what was committed between them": not self.snapshots,
            "a command that locks a row does not wait for who has it: it is run again": not self.locks,
            "fields of bytes cannot be sorted or compared by order": not self.ordered_bytes,
            f"a command may write {self.max_writes} items at most": self.max_writes is not None,
            f"a read may look through {self.max_scan} rows at most": self.max_scan is not None,
            f"messages of events and of webhooks, and scores, may be {self.max_scan} of each on record": (
                self.max_scan is not None
            ),
        }
        return tuple(text for text, lacking in found.items() if lacking)


class BeyondStore(NotSupported, hint="Ask for less in one call, or keep this entity in another store."):
    """The store of this service cannot do this."""


class StoreUnusable(Exception):
    """A store cannot be used as it is. ``message`` says why, ``remedy`` what to do; neither tells a secret."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message: str = message
        self.remedy: str = remedy


class Transaction(ABC):
    """One unit of work against a store. It begins at its first use."""

    @abstractmethod
    def rows(self, entity: type[Entity]) -> Rows[Any]:
        """Return the rows of an entity."""

    @abstractmethod
    async def flush(self) -> None:
        """Carry out what is queued, in order.

        Where that fails, here or in a read, the transaction can only be rolled back: whatever is asked of it next,
        ``commit`` too, raises the same again. So no part of a failed call is ever committed.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Flush, commit, and return when it is durable.

        Raises ``NotCommitted`` where nothing was changed, ``SerializationConflict`` where it may be run again,
        ``CommitUnknown`` where it is not known.
        """

    @abstractmethod
    async def rollback(self) -> None:
        """Undo all, where it has not ended.

        It returns when what was read may be told: after the commit of what that rested on.
        """


class Claims(ABC):
    """Marks that a piece of work is under way, seen by all replicas that share a store, gone when their holder dies."""

    @abstractmethod
    async def take(self, key: bytes) -> bool:
        """Take the claim. Returns False where another holds it."""

    @abstractmethod
    async def drop(self, key: bytes) -> None:
        """Let the claim go."""


class Store(ABC):
    """Where rows live."""

    capabilities: Capabilities
    claims: Claims

    @abstractmethod
    async def start(self, tables: Sequence[Table]) -> None:
        """Open the store for these tables."""

    @abstractmethod
    async def stop(self) -> None:
        """Close it; what was begun is ended first."""

    @abstractmethod
    def begin(
        self,
        *,
        write: bool,
        single: bool = False,
        deadline: float | None = None,
        latest: bool = False,
        isolation: Isolation = "serializable",
    ) -> Transaction:
        """Return a new transaction.

        ``single`` promises one read at most; ``deadline`` is in the clock's monotonic time. ``latest`` asks a query for
        all that was committed before: it may not be answered by a replica that is behind. ``isolation`` is how far a
        command is kept apart from others, at least.
        """

    @abstractmethod
    def health(self) -> str | None:
        """Return why the store cannot be used, or None where it can."""

    def current(self) -> float:
        """Return the monotonic moment up to which a query sees all that was committed, whatever it asks for.

        Infinite where no query is answered by a replica.
        """
        return inf

    def degraded(self) -> str | None:
        """Return what does not work as it should, though calls are taken, or None."""
        return None

    def delay(self, *, write: bool) -> float:  # noqa: ARG002 - a store where nobody waits
        """Return for how many seconds the call that has waited longest for the store has been passed over.

        ``write`` asks about commands, else about queries. 0 where none waits, or where those who wait will be taken
        together, as soon as the store is free.
        """
        return 0.0

    def ring(self) -> None:
        """Tell other processes that share the store, soon, that there are events to be delivered.

        It may be lost, and need not be heard: who delivers looks for events now and then all the same.
        """
        return

    def listen(self, heard: Callable[[], None]) -> None:  # noqa: ARG002 - of a store whose processes cannot ring
        """Have ``heard`` called too whenever another process rings, until the store is stopped."""
        return

    @abstractmethod
    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""


class StoreInFront(Store):
    """Does what ``store`` does: for what looks at, or changes, what goes to and fro. A subclass says what begins."""

    def __init__(self, store: Store) -> None:
        self.store: Store = store
        self.capabilities: Capabilities = store.capabilities

    @property
    def claims(self) -> Claims:  # type: ignore[override]  # a store may have new ones after each start
        """The claims of the store."""
        return self.store.claims

    async def start(self, tables: Sequence[Table]) -> None:
        await self.store.start(tables)

    async def stop(self) -> None:
        await self.store.stop()

    def health(self) -> str | None:
        return self.store.health()

    def current(self) -> float:
        return self.store.current()

    def degraded(self) -> str | None:
        return self.store.degraded()

    def delay(self, *, write: bool) -> float:
        return self.store.delay(write=write)

    def ring(self) -> None:
        self.store.ring()

    def listen(self, heard: Callable[[], None]) -> None:
        self.store.listen(heard)

    def statistics(self) -> Mapping[str, float]:
        return self.store.statistics()
