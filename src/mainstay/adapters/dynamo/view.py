"""What a command sees: what it read, with its own writes over it; and the one transaction that both come to.

Every item that the command read is checked in that transaction to be as it was, and of each table in which it looked
for rows the guards, which every write to the table raises. So what was committed is what would have come of it had the
command run alone, at the moment of its commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from mainstay.adapters.dynamo.codec import Item, Value
from mainstay.adapters.dynamo.layout import NUMBER, OWNER, PARTITION, SHARDS, STAMP, Key, Layout, key_of
from mainstay.adapters.dynamo.reading import Stored
from mainstay.adapters.dynamo.wire import MAX_ITEMS, Wire
from mainstay.model.problem import SerializationConflict
from mainstay.ports.rows import unique_conflict
from mainstay.ports.store import BeyondStore


class View:
    """A source for one command, and the target of its writes."""

    def __init__(self, wire: Wire, stored: Stored) -> None:
        self._wire = wire
        self._stored = stored
        self._stamp: Value = {"S": uuid4().hex}
        self._seen: dict[Key, Item | None] = {}  # as they were read, to be checked
        self._there: set[Key] = set()  # of which it matters only that they are there
        self._guards: dict[Key, Item | None] = {}  # of the tables that were looked through
        self._tables: dict[Layout, dict[Key, Item]] = {}  # read whole; their guards stand for their items
        self._edges: dict[str, set[str]] = {}  # the ids in the partitions of references
        self._written: dict[Key, Item | None] = {}
        self._raised: set[Key] = set()  # guards of what was written

    async def item(self, key: Key) -> Item | None:
        """Return an item as this command sees it."""
        return (await self.items([key])).get(key)

    async def items(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return the items of keys, where there are such."""
        known = {key: self._known(key) for key in keys}
        missing = [key for key, item in known.items() if item is _UNKNOWN]
        if missing:
            found = await self._stored.items(missing)
            for key in missing:
                self._there.discard(key)  # more than that matters now
                self._seen[key] = known[key] = found.get(key)
        return {key: item for key, item in known.items() if item is not None}

    def _known(self, key: Key) -> Any:
        if key in self._written:
            return self._written[key]
        if key in self._seen:
            return self._seen[key]
        return next((table[key] for table in self._tables.values() if key in table), _UNKNOWN)

    async def is_there(self, key: Key) -> bool:
        """Say whether a row is there, whatever becomes of it meanwhile, as long as it stays."""
        await self.look([key])
        known = self._known(key)
        return key in self._there if known is _UNKNOWN else known is not None

    async def look(self, keys: Sequence[Key]) -> None:
        """Read of several items at once whether they are there."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._there and self._known(key) is _UNKNOWN]
        if missing:
            found = await self._stored.items(missing)
            self._there |= found.keys()
            self._seen |= dict.fromkeys(set(missing) - found.keys())

    async def referring(self, layout: Layout, field: str, targets: Sequence[str]) -> list[str]:
        """Return the ids of the rows that name one of the targets in a field."""
        await self._guard(layout)
        found: dict[str, None] = {}
        for target in targets:
            partition = layout.referring(field, target)
            if partition not in self._edges:
                self._edges[partition] = set(await self._stored.referring(layout, field, [target]))
            found |= dict.fromkeys(sorted(self._edges[partition]))
        wanted = {layout.referring(field, target) for target in targets}
        for key, item in self._written.items():
            if key.partition in wanted:
                if item is None:
                    found.pop(key.sort, None)
                else:
                    found[key.sort] = None
        return list(found)

    async def everything(self, layout: Layout) -> list[Item]:
        """Return all rows of a table. Raises ``SerializationConflict`` where one is not as it was read before."""
        partitions = {layout.partition(shard) for shard in range(SHARDS)}
        if layout not in self._tables:
            await self._guard(layout)
            table = {key_of(item): item for item in await self._stored.everything(layout)}
            for key, item in self._seen.items():
                if key.partition in partitions and _stamp_of(item) != _stamp_of(table.get(key)):
                    # The commit would be refused for it, and until then this command would see what never was.
                    raise SerializationConflict("the command met a concurrent one")
            self._tables[layout] = table
        over = {key: item for key, item in self._written.items() if key.partition in partitions}
        merged: dict[Key, Item | None] = {**self._tables[layout], **over}
        return [item for item in merged.values() if item is not None]

    async def _guard(self, layout: Layout) -> None:
        """Read the guards of a table, before anything that they are to guard."""
        guards = layout.guards()
        if guards[0] not in self._guards:
            found = await self._stored.items(guards)
            self._guards |= {key: found.get(key) for key in guards}

    async def put(self, layout: Layout, old: Item | None, new: Mapping[str, Value] | None) -> None:
        """Write a row: add it, change it or (None) delete it, with its marks. Raises ``UniqueConflict``."""
        id_ = (new or old or {})["id"]
        key = layout.row(UUID(id_["S"]))
        before, after = dict(layout.marks(old)), dict(layout.marks(new))
        for field in before.keys() | after.keys():
            if before.get(field) == after.get(field):
                continue
            if field in before:
                self._written[before[field]] = None
        for field, mark in after.items():
            if before.get(field) != mark:
                if await self.item(mark) is not None:
                    raise unique_conflict(layout.name, field)
                self._written[mark] = {**mark.item(), OWNER: id_}
        gone, come = set(layout.edges(old)), set(layout.edges(new))
        self._written |= dict.fromkeys(gone - come)
        self._written |= {edge: edge.item() for edge in come - gone}
        self._written[key] = None if new is None else {**new, **key.item(), STAMP: self._stamp}
        self._raised.add(layout.guard(int(key.partition.rpartition("|")[2])))
        _check_bound(len(self._written) + len(self._raised))

    async def commit(self) -> None:
        """Check what was read and write what was written, all or nothing. Raises what ``Wire.transact`` raises."""
        actions = [action for key, item in self._written.items() if (action := self._write(key, item)) is not None]
        reads = [key for key in self._seen if key not in self._written]
        if not self._written and not self._guards and len(reads) + len(self._there) <= 1:
            return  # one item was read, which was so at that moment
        actions += [self._check(key, self._seen[key]) for key in reads]
        actions += [self._check_there(key) for key in self._there if key not in self._written]
        actions += [self._check(key, self._guards[key]) for key in self._guards if key not in self._raised]
        actions += [self._raise(key) for key in self._raised]
        _check_bound(len(actions))
        if actions:
            await self._wire.transact(actions)

    def _base(self, key: Key) -> Any:
        """Return an item as it was read, or ``_UNKNOWN`` for a mark that was not: its row answers for it."""
        if key in self._seen:
            return self._seen[key]
        return next((table[key] for table in self._tables.values() if key in table), _UNKNOWN)

    def _write(self, key: Key, item: Item | None) -> Any:
        base = self._base(key)
        condition = {} if base is _UNKNOWN else _condition(base)
        if item is not None:
            return {"Put": {"TableName": self._wire.table, "Item": item, **condition}}
        if base is None:  # it came and went within this command
            return self._check(key, None)
        return {"Delete": {"TableName": self._wire.table, "Key": key.item(), **condition}}

    def _check(self, key: Key, item: Item | None) -> Any:
        return {"ConditionCheck": {"TableName": self._wire.table, "Key": key.item(), **_condition(item)}}

    def _check_there(self, key: Key) -> Any:
        condition = {
            "ConditionExpression": "attribute_exists(#p)",
            "ExpressionAttributeNames": {"#p": PARTITION},
        }
        return {"ConditionCheck": {"TableName": self._wire.table, "Key": key.item(), **condition}}

    def _raise(self, key: Key) -> Any:
        condition: dict[str, Any] = _condition(self._guards[key]) if key in self._guards else {}
        names = condition.get("ExpressionAttributeNames", {}) | {"#n": NUMBER}
        values = condition.get("ExpressionAttributeValues", {}) | {":one": {"N": "1"}}
        update = {
            **condition,
            "UpdateExpression": "ADD #n :one",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        return {"Update": {"TableName": self._wire.table, "Key": key.item(), **update}}


_UNKNOWN: Any = object()


def _check_bound(number: int) -> None:
    if number > MAX_ITEMS:
        raise BeyondStore(
            f"this command needs {number} items of the store or more, rules and reads included: "
            f"it takes {MAX_ITEMS} at a time"
        )


def _stamp_of(item: Item | None) -> Value | None:
    return None if item is None else item[STAMP]


def _condition(item: Item | None) -> dict[str, Any]:
    """Return the condition that an item is as it was: by its stamp, its owner or its number, whichever it has."""
    if item is None:
        return {"ConditionExpression": "attribute_not_exists(#p)", "ExpressionAttributeNames": {"#p": PARTITION}}
    mark = next(name for name in (STAMP, OWNER, NUMBER) if name in item)
    return {
        "ConditionExpression": "#m = :m",
        "ExpressionAttributeNames": {"#m": mark},
        "ExpressionAttributeValues": {":m": item[mark]},
    }
