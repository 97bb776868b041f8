"""A store in front of another one that keeps encrypted fields: whoever is above it sees values, the one below bytes."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.conditions import Compare, Condition
from mainstay.model.structs import Entity
from mainstay.ports.encryption import Encrypted, EncryptedField, EncryptionKeyMissing, FieldCipher, ValueUnreadable
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.rows import Aggregate, Change, Query, Rows
from mainstay.ports.store import Store, StoreInFront, Transaction

_MARK = "encrypted:"
"""What the text of an encrypted value begins with, which no JSON does."""
_FORM = b"\1"
"""What the bytes of one begin with, which no array of MessagePack does."""


class EncryptedStore(StoreInFront):
    """Does what ``store`` does. The rows of an entity with encrypted fields are encrypted and opened on their way."""

    def __init__(self, store: Store, encrypted: Encrypted, cipher: FieldCipher, observer: Observer) -> None:
        super().__init__(store)
        self.encrypted = encrypted
        self.cipher = cipher
        self._vaults = {entity: Vault(entity, fields, cipher, observer) for entity, fields in encrypted.items()}

    def begin(self, **how: Any) -> Transaction:
        return EncryptedTransaction(self.store.begin(**how), self._vaults)


class EncryptedTransaction(Transaction):
    """Does what ``inner`` does. What else a store's own has is found behind it."""

    __slots__ = ("_inner", "_vaults")

    def __init__(self, inner: Transaction, vaults: Mapping[type[Entity], Vault]) -> None:
        self._inner = inner
        self._vaults = vaults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        rows, vault = self._inner.rows(entity), self._vaults.get(entity)
        return rows if vault is None else EncryptedRows(rows, vault)

    async def flush(self) -> None:
        await self._inner.flush()

    async def commit(self) -> None:
        await self._inner.commit()

    async def rollback(self) -> None:
        await self._inner.rollback()


class Vault:
    """What encrypts and opens the rows of one entity."""

    def __init__(
        self, entity: type[Entity], fields: tuple[EncryptedField, ...], cipher: FieldCipher, observer: Observer
    ) -> None:
        self.names: tuple[str, ...] = tuple(each.name for each in fields)
        self._entity = entity
        self._fields = {each.name: each for each in fields}
        self._cipher = cipher
        self._observer = observer

    def shut(self, row: Any) -> Any:
        """Return a row with its encrypted fields as they are stored."""
        return msgspec.structs.replace(
            row, **self.shut_values(row.id, {name: getattr(row, name) for name in self.names})
        )

    def shut_values(self, id: UUID, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of fields of a row as they are stored."""
        shut = dict(values)
        for name, value in values.items():
            field = self._fields.get(name)
            if field is not None and value is not None:
                shut[name] = shut_value(self._cipher, field, field.encode(value), id)
        return shut

    def opened(self, row: Any, unread: Collection[str] = ()) -> Any:
        """Return a stored row with its values. Raises ``EncryptionKeyMissing`` and ``ValueUnreadable``."""
        found: dict[str, Any] = {}
        for name, field in self._fields.items():
            stored = getattr(row, name)
            if stored is not None and name not in unread:
                found[name] = self._open(field, stored, row.id)
        return msgspec.structs.replace(row, **found) if found else row

    def _open(self, field: EncryptedField, stored: Any, id: UUID) -> Any:
        raw = bytes_of(field, stored)
        if raw is None:
            return stored
        try:
            return field.decode(self._cipher.decrypt(raw, field.label, id))
        except EncryptionKeyMissing as missing:
            self._tell("encryption_key_missing", "a value is encrypted with a key that is not there", field, raw, id)
            raise EncryptionKeyMissing(retry_after=missing.retry_after) from missing
        except Exception as error:
            self._tell("encrypted_value_unreadable", "an encrypted value does not open", field, raw, id)
            place = f"{self._entity.__name__}.{field.name} of {id}"
            raise ValueUnreadable(f"{place} was not encrypted for this place, or was changed since") from error

    def _tell(self, event: str, text: str, field: EncryptedField, raw: bytes, id: UUID) -> None:
        place = f"{self._entity.__name__}.{field.name}"
        facts = {"field": place, "row": str(id), "key": self._cipher.key_of(raw)}
        self._observer.observe(Notice("error", event, f"{place}: {text}", facts))


def shut_value(cipher: FieldCipher, field: EncryptedField, value: bytes, id: UUID) -> Any:
    """Return the bytes of a value as its field stores them."""
    raw = cipher.encrypt(value, field.label, id)
    return _MARK + b64encode(raw).decode() if field.textual else raw


def bytes_of(field: EncryptedField, stored: Any) -> bytes | None:
    """Return the bytes of a stored value, or None where it is one from before that may be as it is."""
    if field.textual:
        return b64decode(stored[len(_MARK) :]) if stored.startswith(_MARK) else None
    if field.plain and not stored.startswith(_FORM):
        return None
    return bytes(stored)


class EncryptedRows(Rows[Any]):
    """The rows of an entity with encrypted fields: conditions look at the others only, as the doorways see to."""

    __slots__ = ("_inner", "_vault")

    def __init__(self, inner: Rows[Any], vault: Vault) -> None:
        self._inner = inner
        self._vault = vault

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any | None:
        row = await self._inner.get(id, where, lock=lock)
        return None if row is None else self._vault.opened(row)

    async def fetch(self, query: Query) -> list[Any]:
        opened: Callable[..., Any] = self._vault.opened
        return [opened(row, query.unread) for row in await self._inner.fetch(query)]

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        async with aclosing(self._inner.stream(query)) as rows:
            async for row in rows:
                yield self._vault.opened(row, query.unread)

    async def count(self, where: Condition) -> int:
        return await self._inner.count(where)

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        return await self._inner.aggregate(aggregate)

    def insert(self, rows: Sequence[Any]) -> None:
        self._inner.insert([self._vault.shut(row) for row in rows])

    def enqueue(self, change: Change) -> None:
        self._inner.enqueue(_bare(change) if self._is_apart(change) else self._of_row(change, change.id))

    async def apply(self, change: Change) -> int:
        """A value is bound to its row: one that many rows get is encrypted for each of them."""
        if self._is_apart(change):
            return await self._inner.apply(_bare(change))
        found = await self._inner.fetch(Query(where=change.where, lock=True, unread=self._vault.names))
        met = 0
        for row in found:
            own = msgspec.structs.replace(change, where=Compare("id", "eq", row.id) & change.where)
            met += await self._inner.apply(self._of_row(own, row.id))
        return met

    def _is_apart(self, change: Change) -> bool:
        return change.changes is None or change.changes.keys().isdisjoint(self._vault.names)

    def _of_row(self, change: Change, id: UUID | None) -> Change:
        if id is None:
            raise TypeError(f"a change of {', '.join(self._vault.names)} that is queued names its row")
        changes = self._vault.shut_values(id, change.changes or {})
        return msgspec.structs.replace(_bare(change), changes=changes)


def _bare(change: Change) -> Change:
    """Return a change without the row that was there before, which holds values as they are."""
    return change if change.before is None else msgspec.structs.replace(change, before=None)
