"""``mainstay routes``: every operation, how it is reached, who may call it, and how often."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mainstay.app.checking import inspect
from mainstay.app.importing import import_service
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of
from mainstay.kernel.bound import BoundOperation
from mainstay.model.faults import StartupFailed
from mainstay.model.mounted import Mounted
from mainstay.model.operation import OperationKind
from mainstay.model.versions import Version, span_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--module", metavar="NAME", help="those of one module")


def execute(arguments: Any, console: Console) -> int:
    """Print a line an operation."""
    service = import_service(settings_of(arguments, strict=False, secrets=False))
    bound = inspect(service)
    if bound.faults:
        raise StartupFailed(bound.faults)
    chosen = [one for one in bound.operations if arguments.module in (None, one.operation.module)]
    facts = [_facts(one, service.versions) for one in sorted(chosen, key=_order)]
    if arguments.module is None:
        facts += [_mounted(one) for one in service.mounts]
    console.facts(facts, lambda: _text(facts))
    return 0


def _order(one: BoundOperation) -> tuple[bool, str, str]:
    return one.operation.kind is OperationKind.CONSUMER, one.operation.path, one.operation.method


def _span(one: BoundOperation, versions: Sequence[Version]) -> list[int]:
    """Return the places of the versions that an operation is served in."""
    span = span_of(one.operation.since, one.operation.until, versions)
    return [place for place in span if one.operation.method and versions and not versions[place].ended]


def _facts(one: BoundOperation, versions: Sequence[Version]) -> dict[str, Any]:
    operation = one.operation
    event = operation.event
    return {
        "name": one.name,
        "kind": operation.kind.value,
        "module": operation.module,
        "method": operation.method or None,
        "path": operation.path or None,
        "versions": [versions[place].name for place in _span(one, versions)],
        "event": event if isinstance(event, str) or event is None else event.__name__,
        "allow": "the event's principal" if operation.kind is OperationKind.CONSUMER else repr(operation.allow),
        "limits": [limit.name for limit in operation.limits],
        "source": str(operation.source),
    }


def _mounted(one: Mounted) -> dict[str, Any]:
    """Return the facts of an application that is mounted beside the operations."""
    return {
        "name": one.path,
        "kind": "mount",
        "module": None,
        "method": None,
        "path": one.path,
        "versions": [],
        "event": None,
        "allow": "the application decides",
        "limits": [limit.name for limit in one.limits],
        "source": str(one.source),
    }


def _text(facts: list[dict[str, Any]]) -> str:
    rows = [
        (
            _how(one),
            one["path"] or str(one["event"]),
            ".".join(filter(None, (one["module"], one["name"]))),
            one["allow"],
        )
        for one in facts
    ]
    if not any(one["versions"] for one in facts):
        return table(("METHOD", "PATH", "OPERATION", "ALLOW"), rows)
    versioned = [
        (*row, ", ".join(f"v{name}" for name in one["versions"])) for row, one in zip(rows, facts, strict=True)
    ]
    return table(("METHOD", "PATH", "OPERATION", "ALLOW", "VERSIONS"), versioned)


def _how(one: dict[str, Any]) -> str:
    return one["method"] or ("MOUNT" if one["kind"] == "mount" else "EVENT")
