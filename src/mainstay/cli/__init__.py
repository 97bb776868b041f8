"""The command line. Nothing heavy is imported before the command is known: ``mainstay --help`` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 fine, 1 something was found wrong, 2 it was called wrongly."""
    from mainstay.cli.entry import run

    return run(sys.argv[1:] if argv is None else argv)
