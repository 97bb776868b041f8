"""``mainstay db``: plan, migrate, roll back and seed the database, and say where it stands."""

from __future__ import annotations

import argparse
from typing import Any

from mainstay.cli.console import Console


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""


def execute(arguments: Any, console: Console) -> int:
    """Do what the action says."""
    return 0
