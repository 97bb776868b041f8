"""pyright's verdict on the package as its users see it: every public name typed, by the share set in pyproject.toml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

SHOWN = 40


def main(package: str) -> int:
    """Print each symbol of the public modules whose type is not known; 1 when the share is below the bound."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    settings = project["tool"]["mainstay"]["public-types"]
    report = _verify(package)
    public = [symbol for symbol in report if symbol["isExported"] and _is_public(symbol["name"], settings["modules"])]
    vague = [symbol for symbol in public if not symbol["isTypeKnown"]]
    percent = 100 * (1 - len(vague) / len(public)) if public else 0.0
    print(
        f"{percent:.2f} % of {len(public)} public symbols have a known type; the bound is {settings['minimum-percent']}"
    )
    for symbol in vague[:SHOWN]:
        reasons = "; ".join(entry["message"].splitlines()[0] for entry in symbol["diagnostics"]) or "not known"
        print(f"  {symbol['name']}: {reasons}")
    if len(vague) > SHOWN:
        print(f"  and {len(vague) - SHOWN} more")
    return int(percent < settings["minimum-percent"])


def _verify(package: str) -> list[dict[str, Any]]:
    command = [".venv/bin/pyright", "--outputjson", "--ignoreexternal", "--verifytypes", package]
    folder = Path(".venv/bin").absolute()  # verifytypes takes the python on PATH and no other
    environ = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    try:
        symbols: list[dict[str, Any]] = json.loads(ended.stdout)["typeCompleteness"]["symbols"]
    except (ValueError, KeyError):
        sys.exit(f"pyright gave no report:\n{ended.stdout}{ended.stderr}")
    return symbols


def _is_public(name: str, modules: list[str]) -> bool:
    """A name of the package itself, or anything within the modules that teams import from."""
    return name.count(".") == 1 or any(name.startswith(f"{module}.") for module in modules)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "mainstay"))
