"""A rolling restart: one seat after another gets a successor, the next one when that takes calls."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.app.seat import Seat

START_SECONDS = 120.0
"""How long a successor may take until it takes calls."""


class Rolling:
    """Which seats are still to be followed. A seat whose last worker has yet to leave waits for that."""

    def __init__(self) -> None:
        self._pending: list[Seat] = []
        self._under_way: Seat | None = None

    @property
    def active(self) -> bool:
        """Whether something is left to be done."""
        return self._under_way is not None or bool(self._pending)

    def begin(self, seats: Sequence[Seat]) -> None:
        """Have all seats followed. One that is being followed just now is followed again: it may be of the old code."""
        self._pending = list(seats)

    def next(self) -> Seat | None:
        """Return the seat whose successor is to be started now. Seats without a worker get a new one anyway."""
        self._pending = [seat for seat in self._pending if seat.worker is not None]
        if self._under_way is not None:
            return None
        found = next((seat for seat in self._pending if seat.ready and not seat.leaving), None)
        if found is not None:
            self._pending.remove(found)
            self._under_way = found
        return found

    def followed(self, seat: Seat) -> bool:
        """Take note that a seat's successor takes calls. Returns whether it was the last."""
        if seat is self._under_way:
            self._under_way = None
        return not self.active

    def give_up(self) -> None:
        """Follow no further seat."""
        self._pending.clear()
        self._under_way = None
