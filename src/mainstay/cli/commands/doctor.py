"""``mainstay doctor``: what is wrong with the set-up, and how to mend it."""

from __future__ import annotations

import argparse
from typing import Any

from mainstay.app.doctor import Finding, diagnose
from mainstay.app.settings import listing
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

_MARKS = {"fine": "  ok ", "warning": "warn ", "wrong": "WRONG"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--settings", action="store_true", help="list every setting, its variable, value and source")


def execute(arguments: Any, console: Console) -> int:
    """Print what was found; 1 where something is wrong."""
    if arguments.settings:
        return _list_settings(arguments, console)
    findings = diagnose(arguments.directory, profile=arguments.profile)
    wrong = sum(finding.state == "wrong" for finding in findings)
    console.facts({"wrong": wrong, "findings": findings}, lambda: _text(findings, wrong))
    return 1 if wrong else 0


def _text(findings: list[Finding], wrong: int) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.state]}  {finding.about:<9} {finding.message}")
        if finding.remedy:
            lines.append(f"{'':17}-> {finding.remedy}")
    return "\n".join([*lines, "", f"{wrong} to be mended" if wrong else "nothing to be mended"])


def _list_settings(arguments: Any, console: Console) -> int:
    entries = listing(settings_of(arguments, strict=False, secrets=False))
    rows = [(one.key, one.variable, one.value, one.source) for one in entries]
    console.facts(entries, lambda: table(("SETTING", "VARIABLE", "VALUE", "FROM"), rows))
    return 0
