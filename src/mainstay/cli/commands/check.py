"""``mainstay check``: the start-up checks, without starting anything."""

from __future__ import annotations

import argparse
from typing import Any

from mainstay.app.checking import inspect
from mainstay.app.contracts import verdict_of, warnings_of
from mainstay.app.importing import import_service
from mainstay.app.privacy.belongings import unclaimed
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of
from mainstay.model.faults import StartupFault, by_place


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none of its own."""


def execute(arguments: Any, console: Console) -> int:
    """Print every fault of the declarations with its file and line, or else what is no fault and may be one soon."""
    settings = settings_of(arguments, strict=False, secrets=False)
    service = import_service(settings)
    bound = inspect(service)
    verdict = None if bound.faults else verdict_of(bound, settings)
    found = by_place(bound.faults if verdict is None else verdict.faults)
    contracts = () if verdict is None else warnings_of(verdict)
    warnings = () if found else by_place([*unclaimed(bound), *contracts])
    facts = {
        "service": service.name,
        "operations": len(bound.operations),
        "faults": list(map(_told, found)),
        "warnings": list(map(_told, warnings)),
    }
    fine = f"{service.name}: {len(bound.operations)} operations, nothing to be mended"
    lines = [*map(str, found)] or [fine, *(f"warning: {warning}" for warning in warnings)]
    console.facts(facts, lambda: "\n".join(lines))
    return 1 if found else 0


def _told(fault: StartupFault) -> dict[str, str | int | None]:
    return {
        "file": fault.source.file,
        "line": fault.source.line,
        "subject": fault.subject,
        "message": fault.message,
        "hint": fault.hint,
    }
