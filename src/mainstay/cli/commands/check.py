"""``mainstay check``: the start-up checks, without starting anything."""

from __future__ import annotations

import argparse
from typing import Any

from mainstay.app.checking import inspect
from mainstay.app.importing import import_service
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of
from mainstay.model.faults import by_place


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none of its own."""


def execute(arguments: Any, console: Console) -> int:
    """Print every fault of the declarations with its file and line."""
    service = import_service(settings_of(arguments, strict=False, secrets=False))
    bound = inspect(service)
    found = by_place(bound.faults)
    faults = [
        {
            "file": fault.source.file,
            "line": fault.source.line,
            "subject": fault.subject,
            "message": fault.message,
            "hint": fault.hint,
        }
        for fault in found
    ]
    facts = {"service": service.name, "operations": len(bound.operations), "faults": faults}
    fine = f"{service.name}: {len(bound.operations)} operations, nothing to be mended"
    console.facts(facts, lambda: "\n".join(map(str, found)) or fine)
    return 1 if faults else 0
