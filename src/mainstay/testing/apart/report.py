"""What an examination has found."""

from __future__ import annotations

from typing import Any

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a caller could learn or do and must not, with the request that shows it."""

    operation: str
    problem: str
    request: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.problem}\n    {self.request}"


class Report(msgspec.Struct, kw_only=True):
    """The findings, and how much was looked at: ``unasked`` are operations without a request, each with the reason."""

    findings: list[Finding] = []
    requests: int = 0
    operations: dict[str, int] = {}
    unasked: dict[str, str] = {}

    def note(self, operation: str, problem: str, request: Any) -> None:
        """Add a finding, unless it is there already."""
        found = Finding(operation=operation, problem=problem, request=str(request))
        if found not in self.findings:
            self.findings.append(found)

    def asked(self, operation: str) -> None:
        """Count a request."""
        self.requests += 1
        self.operations[operation] = self.operations.get(operation, 0) + 1

    def check(self) -> None:
        """Raise ``AssertionError`` with all findings; also where nothing was tried, which shows nothing."""
        if self.findings:
            raise AssertionError("\n".join(map(str, self.findings)))
        if not self.operations:
            raise AssertionError("no operation was tried: there is nothing that the two could learn of each other")
