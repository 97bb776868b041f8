"""Time, ids, chance and seals that a test decides."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from random import Random
from uuid import UUID

from mainstay.ports.clock import Clock
from mainstay.ports.encryption import FieldCipher
from mainstay.ports.ids import Entropy, Ids
from mainstay.ports.sealer import Sealer

START = datetime(2026, 1, 1, tzinfo=UTC)
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_DIGEST = 16


class FixedClock(Clock):
    """A clock that stands until it is set or advanced. Its monotonic time begins at 0 and never goes back."""

    def __init__(self, at: datetime = START) -> None:
        self._now = _zoned(at)
        self._monotonic = 0.0

    def set(self, at: datetime) -> None:
        """Set the wall time; forward, the monotonic time goes along."""
        moved = (_zoned(at) - self._now).total_seconds()
        self._now = _zoned(at)
        self._monotonic += max(0.0, moved)

    def advance(self, by: timedelta | float) -> None:
        """Let time pass: a duration, or seconds."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta(0):
            raise ValueError("advance: time does not pass backwards; set() changes the wall time")
        self._now += step
        self._monotonic += step.total_seconds()

    def now(self) -> datetime:
        return self._now

    def time(self) -> float:
        return self._now.timestamp()

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once, and others run."""
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)


def _zoned(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time needs a zone: datetime(..., tzinfo=UTC)")
    return at.astimezone(UTC)


class SequentialIds(Ids):
    """The ids 1, 2, 3 and so on, in the form of UUIDv7, and texts that count the same way."""

    def __init__(self) -> None:
        self._made = 0

    def next(self) -> UUID:
        self._made += 1
        return UUID(int=self._made << 80 | _VERSION_AND_VARIANT)

    def token(self) -> str:
        self._made += 1
        return f"{self._made:022d}"


class SeededEntropy(Entropy):
    """The same numbers for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)  # noqa: S311 - it is to be foretold

    def uniform(self) -> float:
        return self._random.random()


class ClearSealer(Sealer):
    """Sealed text that is not secret: it tells contexts apart and sees changes, and that is all that a test needs."""

    def seal(self, data: bytes, context: bytes) -> str:
        return urlsafe_b64encode(_digest(data, context) + data).decode()

    def open(self, text: str, context: bytes) -> bytes | None:
        try:
            sealed = urlsafe_b64decode(text.encode())
        except ValueError:
            return None
        data = sealed[_DIGEST:]
        # What is left over of the last character counts as well: another one there is a change.
        return data if self.seal(data, context) == text else None


def _digest(data: bytes, context: bytes) -> bytes:
    return blake2b(len(context).to_bytes(4, "big") + context + data, digest_size=_DIGEST).digest()


def fixed_cipher() -> FieldCipher:
    """Return what encrypts fields with a key that is the same in every test."""
    from mainstay.adapters.crypto.field_cipher import AesFieldCipher

    return AesFieldCipher(["a key of encrypted fields that tests share"])
