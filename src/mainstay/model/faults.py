"""Start-up faults: what a team must mend before its service can run, each with its place."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mainstay.model.operation import Source


class StartupFault(msgspec.Struct, frozen=True):
    """One fault of a declaration: where it is, what it is about, what is wrong, and what to do."""

    source: Source
    subject: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.source}: {self.subject}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def by_place(faults: Iterable[StartupFault]) -> tuple[StartupFault, ...]:
    """Return faults in the order of their files and lines; those of one line as they were found."""
    return tuple(sorted(faults, key=lambda fault: (fault.source.file, fault.source.line)))


class StartupFailed(Exception):
    """The service cannot run. All faults are in ``faults``, by file and line, and in the message, one a line."""

    def __init__(self, faults: Iterable[StartupFault]) -> None:
        self.faults: tuple[StartupFault, ...] = by_place(faults)
        super().__init__("\n".join(map(str, self.faults)))
