"""pyright's verdict on the package as its users see it: every public name typed, by the share set in pyproject.toml."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

SHOWN = 40


def main(package: str) -> int:
    """Print each public symbol whose type is not known; 1 when the share is below the bound."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    minimum: float = project["tool"]["mainstay"]["public-types"]["minimum-percent"]
    command = [".venv/bin/pyright", "--pythonpath", ".venv/bin/python", "--outputjson", "--ignoreexternal"]
    ended = subprocess.run([*command, "--verifytypes", package], capture_output=True, text=True, check=False)
    try:
        report = json.loads(ended.stdout)["typeCompleteness"]
    except (ValueError, KeyError):
        print(f"pyright gave no report:\n{ended.stdout}{ended.stderr}")
        return 1
    percent = 100 * report["completenessScore"]
    counts = report["exportedSymbolCounts"]
    print(f"{percent:.2f} % of {sum(counts.values())} public symbols have a known type, at least {minimum} % must")
    vague = [symbol for symbol in report["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    for symbol in vague[:SHOWN]:
        reasons = "; ".join(entry["message"].splitlines()[0] for entry in symbol["diagnostics"]) or "not known"
        print(f"  {symbol['name']}: {reasons}")
    if len(vague) > SHOWN:
        print(f"  and {len(vague) - SHOWN} more")
    return int(percent < minimum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "mainstay"))
