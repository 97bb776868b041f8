"""What of a partition was handed out, and up to where all of it was acknowledged."""

from __future__ import annotations


class Ledger:
    """Offsets of one partition while it is this member's.

    Kafka keeps one number a partition, the offset to go on from, and messages are acknowledged in any order. So what
    may be committed is the lowest offset that is not acknowledged.
    """

    def __init__(self, begin: int, *, on_record: bool, epoch: int) -> None:
        self.epoch = epoch
        self.position = begin
        self._committed = begin if on_record else None
        self._taken: dict[int, bool] = {}  # in rising order: whether it was acknowledged

    def take(self, offset: int) -> None:
        """Note that a message was handed out. Offsets rise; there may be gaps."""
        self._taken[offset] = False

    def acknowledge(self, offset: int) -> None:
        """Note that a message is to come no more."""
        if offset not in self._taken:
            return
        self._taken[offset] = True
        for first, acknowledged in list(self._taken.items()):
            if not acknowledged:
                break
            del self._taken[first]
            self.position = first + 1

    @property
    def due(self) -> int | None:
        """The offset to commit, or None where it is on record."""
        return None if self._committed == self.position else self.position

    def committed(self, offset: int) -> None:
        """Note what is on record."""
        self._committed = offset
