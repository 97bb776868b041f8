"""mypy, strict, on each example by itself: two examples may use one module name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def main(folder: Path) -> int:
    """Check every project below `folder`; 1 when one has a fault."""
    worst = 0
    for project in sorted(path.parent for path in folder.glob("*/mainstay.toml")):
        packages = sorted(path.parent.name for path in project.glob("*/__init__.py") if path.parent.name != "tests")
        command = [".venv/bin/mypy", "--strict", "--cache-dir", f".mypy_cache/{project.name}"]
        targets = [str(project / name) for name in packages]
        environ = {**os.environ, "MYPYPATH": str(project)}
        ended = subprocess.run([*command, "--config-file", os.devnull, *targets], env=environ, check=False)
        worst = max(worst, ended.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(Path("examples")))
