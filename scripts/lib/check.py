"""Run the checks of this project, two at a time, and say what failed.

scripts/check             all of them
scripts/check NAME ...    these only
scripts/check --list      their names
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

BIN = Path(".venv/bin")
PYTHON = str(BIN / "python")
LINT_IMPORTS = (str(BIN / "lint-imports"), "--no-cache", "--no-logo")


@dataclass(frozen=True)
class Check:
    """One command that exits with 0 when all is well."""

    name: str
    purpose: str
    command: tuple[str, ...]


CHECKS = (
    Check("public-types", "every public name is typed", (PYTHON, "scripts/lib/public_types.py")),
    Check("types", "mypy, strict: the package", (str(BIN / "mypy"),)),
    Check("tool-types", "mypy, strict: the tools", (str(BIN / "mypy"), "scripts/lib", "tests/plugins")),
    Check("example-types", "mypy, strict: the examples", (PYTHON, "scripts/lib/example_types.py")),
    Check("docs", "the documentation builds without a warning", ("scripts/docs", "--quiet")),
    Check("lint", "ruff", (str(BIN / "ruff"), "check", "--quiet", "--output-format=concise", ".")),
    Check("format", "ruff format", (str(BIN / "ruff"), "format", "--check", "--quiet", ".")),
    Check("layers", "who may import whom", LINT_IMPORTS),
    Check("cycles", "no module needs itself", (*LINT_IMPORTS, "--config", "scripts/lib/cycles.toml")),
    Check("core", "the core is free of clock, chance and I/O", (PYTHON, "scripts/lib/core.py")),
    Check("ceilings", "lines a file and a function, complexity", (PYTHON, "scripts/lib/ceilings.py")),
    Check("places", "no registry and no machine is named", (PYTHON, "scripts/lib/places.py")),
    Check("code-map", "docs/code-map.md lists what is there", (PYTHON, "scripts/lib/code_map.py")),
    Check("changelog", "the news fragments can be put together", (str(BIN / "towncrier"), "build", "--draft")),
    Check("lock", "uv.lock agrees with pyproject.toml", (str(BIN / "uv"), "lock", "--check", "--offline", "--quiet")),
)
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "VIRTUAL_ENV")


def main(arguments: Sequence[str]) -> int:
    """Run the named checks, or all; 0 when all passed, 1 when one failed, 2 for an unknown name."""
    if "--list" in arguments:
        for check in CHECKS:
            print(f"{check.name:14} {check.purpose}")
        return 0
    if unknown := set(arguments) - {check.name for check in CHECKS}:
        print(f"no check is called {', '.join(sorted(unknown))}; scripts/check --list names them", file=sys.stderr)
        return 2
    chosen = [check for check in CHECKS if not arguments or check.name in arguments]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        failed = [check.name for check, passed in zip(chosen, pool.map(_run, chosen), strict=True) if not passed]
    print(
        f"{len(chosen) - len(failed)} of {len(chosen)} checks passed"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return int(bool(failed))


def _run(check: Check) -> bool:
    environ = {name: value for name, value in os.environ.items() if name not in INDEX_VARIABLES}
    environ["PYTHONPATH"] = str(Path("src").absolute())  # this tree, wherever the environment was made
    started = time.monotonic()
    try:
        ended = subprocess.run(
            check.command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as fault:
        print(f"FAILED {check.name}: {fault}", flush=True)
        return False
    seconds = time.monotonic() - started
    if ended.returncode == 0:
        print(f"ok     {check.name} ({seconds:.1f} s)", flush=True)
        return True
    print(f"FAILED {check.name} ({seconds:.1f} s): {check.purpose}\n{ended.stdout.rstrip()}\n", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
