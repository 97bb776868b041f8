"""A run fails when it skips, or expects to fail, a test that `[tool.mainstay.skips]` does not name."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest


class AllowedSkips:
    """Collects what was not run, in the process that reports; with xdist the workers' reports come here too."""

    def __init__(self, allowed: Mapping[str, str]) -> None:
        self.allowed = allowed
        self.unlisted: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test or an expected failure."""
        self._note(report.nodeid, report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a whole file that was skipped."""
        self._note(report.nodeid, report)

    def _note(self, name: str, report: pytest.TestReport | pytest.CollectReport) -> None:
        listed = any(fnmatch.fnmatchcase(name, pattern) and reason.strip() for pattern, reason in self.allowed.items())
        if report.skipped and not listed:
            self.unlisted[name] = str(getattr(report, "wasxfail", "") or _reason(report.longrepr))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a green run with unlisted skips red."""
        if self.unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which, before the closing line."""
        if self.unlisted:
            terminalreporter.section("skipped without leave", red=True)
            for name, reason in sorted(self.unlisted.items()):
                terminalreporter.line(f"{name}: {reason}")
            terminalreporter.line("Make them run, or name them with the reason in [tool.mainstay.skips].")


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr or "")


def pytest_configure(config: pytest.Config) -> None:
    """Read the list; only the reporting process keeps count."""
    if hasattr(config, "workerinput"):
        return
    settings = tomllib.loads((Path(config.rootpath) / "pyproject.toml").read_text(encoding="utf-8"))
    allowed = settings.get("tool", {}).get("mainstay", {}).get("skips", {})
    config.pluginmanager.register(AllowedSkips(allowed), "mainstay-allowed-skips")
