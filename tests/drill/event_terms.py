"""Shorter terms of a lease than the product's, so that three of them end soon."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))

from drilling import changed

TERM = 10.0  # seconds, as the product has it


@contextlib.contextmanager
def with_term(seconds: float, package: Path | None) -> Iterator[Path | None]:
    """Have a copy of the package in which leases have another term, and what goes by it is as much shorter.

    What is run with the term that the product has is the package itself.
    """
    if seconds == TERM:
        yield package
        return
    file = "kernel/flow/shares.py"
    part = seconds / TERM
    patches = (
        (file, f"TERM = timedelta(seconds={TERM:.0f})", f"TERM = timedelta(seconds={seconds})"),
        (file, "RENEW = 3.0", f"RENEW = {3.0 * part}"),
        (file, "WAITING = 1.0", f"WAITING = {max(0.2, part)}"),
    )
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        yield changed(Path(folder), *patches, source=package)
