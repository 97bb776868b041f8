"""Rows that may be there or not, and marks by which they are found without telling what they are of."""

from __future__ import annotations

from collections.abc import Awaitable
from hashlib import blake2b
from typing import TypeVar
from uuid import UUID

from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound

T = TypeVar("T")


async def found(look: Awaitable[T]) -> T | None:
    """Return what a look finds, or None where there is nothing."""
    try:
        return await look
    except NotFound:
        return None


def digest_of(*parts: str) -> str:
    """Return the digest of texts, 64 hexadecimal digits: good for codes of 112 random bits and more as it is."""
    digest = blake2b(digest_size=32, person=b"mainstay.account")
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part.encode())
    return digest.hexdigest()


def session_of(who: Principal) -> UUID | None:
    """Return the session that a caller's credentials are of, where they are of one."""
    named = who.claims.get("sid")
    try:
        return UUID(named) if isinstance(named, str) else named if isinstance(named, UUID) else None
    except ValueError:
        return None
