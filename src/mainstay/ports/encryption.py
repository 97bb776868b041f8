"""Encrypted fields: what a store is given of them, and what encrypts and opens their values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from mainstay.model.fields import MISSING, FieldSpec
from mainstay.model.problem import Unavailable
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.structs import Entity
from mainstay.ports.encrypted_values import value_codec
from mainstay.ports.store import Table
from mainstay.ports.unit_of_work import EntityPlan


class ValueUnreadable(Exception):
    """A stored value was not encrypted by this service for this field of this row, or was changed since."""


class EncryptionKeyMissing(Unavailable, hint="Whoever runs the service gives the key back: encryption.previous."):
    """What is stored was encrypted with a key that this service does not have."""


class FieldCipher(ABC):
    """Encrypts and authenticates values of fields.

    ``label`` says which field a value is of, ``row`` which row: a value opens only where it was made for. Values made
    with earlier keys open too; new ones are made with the present one.
    """

    @abstractmethod
    def encrypt(self, value: bytes, label: bytes, row: UUID) -> bytes:
        """Return a value encrypted with the present key. Two calls never return the same."""

    @abstractmethod
    def decrypt(self, stored: bytes, label: bytes, row: UUID) -> bytes:
        """Return the value that was encrypted.

        Raises ``EncryptionKeyMissing`` where its key is not there, ``ValueUnreadable`` for what does not open.
        """

    @abstractmethod
    def key_of(self, stored: bytes) -> str:
        """Return the name of the key of a stored value, which tells nothing of the key; "" for what is none."""

    @property
    @abstractmethod
    def present(self) -> str:
        """The name of the key that new values are encrypted with."""


class EncryptedField(NamedTuple):
    """One encrypted field: the label that its values are bound to, and what turns one (never None) to bytes and back.

    ``plain`` says that values from before, which are not encrypted, are taken as they are: of rows of the kernel only.
    """

    name: str
    label: bytes
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    textual: bool = False
    plain: bool = False


Encrypted = Mapping[type[Entity], tuple[EncryptedField, ...]]
"""The encrypted fields of each entity that has any."""


def encrypted_fields(plans: Iterable[EntityPlan], beside: Mapping[type[Entity], tuple[str, ...]]) -> Encrypted:
    """Return the encrypted fields of entities, and where there is any, those ``beside``: of the kernel's own rows.

    What is encrypted in a row must not stand as it is in the stored reply of a call, or in an event that tells of it.
    """
    plans = list(plans)
    found = {plan.shape.type: _fields(plan) for plan in plans if plan.encrypted}
    if found:
        kernel = [plan for plan in plans if plan.shape.type in beside]
        found |= {p.shape.type: tuple(_beside(p, name) for name in beside[p.shape.type]) for p in kernel}
    return found


def _fields(plan: EntityPlan) -> tuple[EncryptedField, ...]:
    return tuple(
        EncryptedField(a.name, label_of(plan, a), *value_codec(a)) for a in plan.shape.attributes if a.encrypted
    )


def _beside(plan: EntityPlan, name: str) -> EncryptedField:
    attribute = plan.shape.by_name[name]
    textual = attribute.kind is FieldKind.STRING
    return EncryptedField(name, label_of(plan, attribute), *value_codec(attribute), textual=textual, plain=True)


def label_of(plan: EntityPlan, attribute: Attribute) -> bytes:
    """Return what the values of a field are bound to: what it says itself, else its table and its name."""
    said = attribute.spec.encrypted
    return (said if isinstance(said, str) else f"{plan.table}.{attribute.name}").encode()


def tables_of(plans: Iterable[EntityPlan]) -> tuple[Table, ...]:
    """Return the tables of entities as stores keep them: encrypted fields are bytes there, and nothing else."""
    every = tuple(plans)
    words = {plan.words for plan in every}
    return tuple(
        Table(
            shape=stored_shape(plan.shape) if plan.encrypted else plan.shape,
            name=plan.table,
            module=plan.module,
            words=plan.shape.type in words,
        )
        for plan in every
    )


def stored_shape(shape: Shape) -> Shape:
    """Return a shape whose encrypted fields are bytes."""
    attributes = tuple(_bytes(a) if a.encrypted else a for a in shape.attributes)
    by_name = {a.name: a for a in (*attributes, *shape.relations)}
    return msgspec.structs.replace(shape, attributes=attributes, by_name=by_name)


def _bytes(attribute: Attribute) -> Attribute:
    """Return a field as its store sees it: secret, so that ``Sql`` does not give it out."""
    optional, said = attribute.optional, attribute.spec.encrypted
    return Attribute(
        name=attribute.name,
        type=bytes | None if optional else bytes,
        base=bytes,
        kind=FieldKind.BYTES,
        optional=optional,
        spec=FieldSpec(default=None if optional else MISSING, secret=True, encrypted=said),
    )
