"""Encrypting what is stored anew with the present key, while the service goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from mainstay.kernel.bind import Bound
from mainstay.model.conditions import Compare
from mainstay.model.inputs import Sort
from mainstay.model.problem import NotFound, SerializationConflict, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.encrypted_rows import EncryptedStore, bytes_of, shut_value
from mainstay.ports.encryption import EncryptedField, EncryptionKeyMissing, ValueUnreadable
from mainstay.ports.rows import Change, Query

PORTION = 200
"""Rows of one transaction, at most."""

_ATTEMPTS = 20
_START = UUID(int=0)


class Rotated(msgspec.Struct, kw_only=True):
    """What became of the encrypted fields of one entity: rows looked at and encrypted anew, and those that do not open.

    ``keys`` counts values by the key that they were found under, ``unreadable`` names up to ten rows.
    """

    entity: str
    rows: int = 0
    changed: int = 0
    keys: dict[str, int] = {}
    unreadable: list[str] = []
    failed: int = 0


async def rotate(bound: Bound, *, change: bool = True) -> list[Rotated]:
    """Encrypt anew what is stored under another key than the present one. The store is open.

    It goes by portions, each in a transaction of its own, and skips what was done: it may be stopped and run again.
    Versions of rows stay, for nothing that anybody sees is changed. Without ``change`` it only counts.
    """
    store = bound.ports.store
    if not isinstance(store, EncryptedStore):
        return []
    return [await _Rotation(store, entity, change=change).run() for entity in store.encrypted]


class _Rotation:
    """The rotation of one entity."""

    def __init__(self, store: EncryptedStore, entity: type[Entity], *, change: bool) -> None:
        self._cipher, self._behind = store.cipher, store.store
        self._entity = entity
        self._fields = store.encrypted[entity]
        self._change = change
        most = store.capabilities.max_writes
        self._most = PORTION if most is None else max(1, most // 4)
        self._done = Rotated(entity=entity.__name__)

    async def run(self) -> Rotated:
        after = _START
        while True:
            rows = await self._portion(after)
            if not rows:
                return self._done
            after = rows[-1].id

    async def _portion(self, after: UUID) -> Sequence[Any]:
        """Do one portion, of fewer rows each time that it meets commands of the service."""
        size = self._most
        for left in reversed(range(_ATTEMPTS)):
            transaction = self._behind.begin(write=self._change)
            try:
                stored = transaction.rows(self._entity)
                query = Query(where=Compare("id", "gt", after), sort=(Sort("id"),), limit=size)
                rows = await stored.fetch(query)
                found = Rotated(entity=self._entity.__name__)
                changes = [each for row in rows if (each := self._of(row, found)) is not None]
                for each in changes if self._change else ():
                    stored.enqueue(each)
                if changes and self._change:
                    await transaction.commit()
            except (SerializationConflict, StaleVersion, NotFound):
                if not left:
                    raise
                size = max(1, size // 2)
            else:
                self._note(found, len(rows), len(changes))
                return rows
            finally:
                await transaction.rollback()
        raise AssertionError("unreachable")

    def _note(self, found: Rotated, rows: int, changed: int) -> None:
        done = self._done
        done.rows += rows
        done.changed += changed
        done.failed += found.failed
        done.unreadable = [*done.unreadable, *found.unreadable][:10]
        done.keys = {key: done.keys.get(key, 0) + found.keys.get(key, 0) for key in {**done.keys, **found.keys}}

    def _of(self, row: Any, found: Rotated) -> Change | None:
        """Return the change of a row, or None where each of its values is under the present key, or does not open."""
        changes: dict[str, Any] = {}
        for field in self._fields:
            stored = getattr(row, field.name)
            if stored is None:
                continue
            raw = bytes_of(field, stored)
            key = "" if raw is None else self._cipher.key_of(raw)
            found.keys[key] = found.keys.get(key, 0) + 1
            if key == self._cipher.present:
                continue
            try:
                changes[field.name] = self._anew(field, stored, raw, row.id)
            except (EncryptionKeyMissing, ValueUnreadable):
                found.failed += 1
                found.unreadable.append(f"{field.name} of {row.id}")
        if not changes:
            return None
        changes["version"] = row.version
        return Change(where=Compare("id", "eq", row.id), changes=changes, id=row.id, version=row.version, expected=1)

    def _anew(self, field: EncryptedField, stored: Any, raw: bytes | None, id: UUID) -> Any:
        value = field.encode(stored) if raw is None else self._cipher.decrypt(raw, field.label, id)
        return shut_value(self._cipher, field, value, id)
