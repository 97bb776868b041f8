"""The store on a MongoDB replica set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from mainstay.adapters.mongo import claims, guards
from mainstay.adapters.mongo.claims import MongoClaims
from mainstay.adapters.mongo.codec import Document
from mainstay.adapters.mongo.faults import DUPLICATE
from mainstay.adapters.mongo.guards import Slots
from mainstay.adapters.mongo.layout import Layout, layouts
from mainstay.adapters.mongo.transaction import CommandTransaction, QueryTransaction
from mainstay.model.operation import Isolation
from mainstay.model.structs import Entity
from mainstay.ports.again import Line
from mainstay.ports.store import Capabilities, Store, StoreUnusable, Table, Transaction

_WIRE_VERSION = 13  # of 5.0, the first that reads snapshots outside of transactions
_DEFAULTS = {"appName": "mainstay", "serverSelectionTimeoutMS": 5_000}
"""Options of the connection where the URL says nothing of them."""


class MongoStore(Store):
    """Rows in one database of a replica set or a sharded cluster, shared by all processes that reach it.

    ``url`` is a MongoDB connection string that names the database. Collections and indexes that are missing are made
    at the start. Raises ``ValueError``, without the URL's text, where it is none.
    """

    capabilities = Capabilities(ordered_bytes=False, locks=False, words="within")

    def __init__(self, url: str, *, claim_seconds: float = claims.TERM) -> None:
        options: dict[str, Any] = {"uuidRepresentation": "standard"}
        said = url.lower()
        options |= {name: value for name, value in _DEFAULTS.items() if f"{name.lower()}=" not in said}
        try:
            client: AsyncMongoClient[Document] = AsyncMongoClient(url, **options)
            name = client.get_default_database().name
        except (InvalidURI, ConfigurationError, ValueError):
            raise ValueError("no MongoDB URL with a database: mongodb://host:27017/shop?replicaSet=rs0") from None
        self.client: AsyncMongoClient[Document] = client
        self.claims: MongoClaims = MongoClaims(term=claim_seconds)
        self.line: Line = Line()
        self.slots: Slots = Slots()
        self.layouts: dict[type[Entity], Layout] = {}
        self._name = name
        self.commits: int = 0
        self.rollbacks: int = 0
        self.conflicts: int = 0

    @property
    def database(self) -> AsyncDatabase[Document]:
        """The database, read and written by majority on the primary."""
        return self.client.get_database(
            self._name,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    @property
    def guards(self) -> AsyncCollection[Document]:
        """The documents by which commands meet."""
        return self.database[guards.COLLECTION]

    def collection(self, layout: Layout) -> AsyncCollection[Document]:
        """Return the collection of a table."""
        return self.database[layout.collection]

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table. Raises ``LookupError`` for an entity that has none."""
        try:
            return self.layouts[entity]
        except KeyError:
            raise LookupError(f"{entity.__name__} has no table in this store") from None

    async def start(self, tables: Sequence[Table]) -> None:
        """Open the store for these tables. Raises ``StoreUnusable``."""
        try:
            made = layouts(tables)
            await self._check_server()
            await self._prepare(list(made.values()))
            await self.claims.start(self.database[claims.COLLECTION])
            self.layouts = made
        except OperationFailure as failure:
            raise _refused(failure) from failure
        except PyMongoError as error:
            raise StoreUnusable(
                f"MongoDB does not answer ({type(error).__name__})", "start it, or look at database.url"
            ) from error
        finally:
            if not self.layouts:
                await self.client.close()

    async def _check_server(self) -> None:
        """Refuse a server that has no transactions, or no snapshots."""
        told = await self.client.admin.command("hello")
        if "setName" not in told and told.get("msg") != "isdbgrid":
            raise StoreUnusable(
                "this MongoDB server has no transactions: it is no member of a replica set",
                "start it with --replSet, and run rs.initiate() once",
            )
        if told.get("maxWireVersion", 0) < _WIRE_VERSION:
            raise StoreUnusable("this MongoDB server is older than 5.0", "use a newer one")

    async def _prepare(self, made: Sequence[Layout]) -> None:
        """Make the collections, indexes and guards that are missing."""
        database = self.database
        there = set(await database.list_collection_names())
        for name in {*(layout.collection for layout in made), guards.COLLECTION, claims.COLLECTION} - there:
            try:
                await database.create_collection(name)
            except OperationFailure as failure:
                if failure.code != _EXISTS:  # another replica was quicker
                    raise
        for layout in made:
            indexes = layout.indexes()
            if indexes:
                await database[layout.collection].create_indexes(indexes)
        if made:
            await self.guards.bulk_write(guards.guards_of(made), ordered=False)

    async def stop(self) -> None:
        self.layouts = {}
        try:
            await self.claims.stop()
        finally:
            await self.client.close()

    def begin(
        self,
        *,
        write: bool,
        single: bool = False,
        deadline: float | None = None,  # noqa: ARG002 - the kernel ends a call at its deadline
        latest: bool = False,  # noqa: ARG002 - all is read from the primary
        isolation: Isolation = "serializable",
    ) -> Transaction:
        if not self.layouts:
            raise RuntimeError("the store is not open: start() it with its tables first")
        return CommandTransaction(self, isolation == "serializable") if write else QueryTransaction(self, single)

    def health(self) -> str | None:
        if not self.layouts:
            return "the store is not open"
        writable: Any = self.client.topology_description.has_writable_server()
        return None if writable else "no MongoDB server takes writes"

    def statistics(self) -> Mapping[str, float]:
        return {"commits": self.commits, "rollbacks": self.rollbacks, "conflicts": self.conflicts}


_EXISTS = 48


def _refused(failure: OperationFailure) -> StoreUnusable:
    if failure.code == DUPLICATE:
        return StoreUnusable(
            "a field that is declared unique has the same value in several stored rows", "make the values distinct"
        )
    if failure.code in (18, 13):
        return StoreUnusable("MongoDB refuses these credentials, or what they may do", "look at database.url")
    return StoreUnusable(
        f"MongoDB refuses to prepare the database ({failure.code})", "see the cause, and the server's log"
    )
