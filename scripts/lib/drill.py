"""Run a drill: a module tests/drill/drill_NAME.py whose `main(["--count", N, "--seed", S])` answers an exit code.

scripts/drill                                  list the drills
scripts/drill NAME [--count N] [--seed S]      run one; it is given what else there is, and what follows `--`
scripts/drill NAME ... --save [AS]             also keep what it says in docs/drills/NAME.txt, or in AS.txt
"""

from __future__ import annotations

import argparse
import ast
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DRILLS = Path("tests/drill")
RECORDS = Path("docs/drills")
LAUNCH = """
import importlib, sys
folder, module, *arguments = sys.argv[1:]
sys.path.insert(0, folder)
sys.exit(importlib.import_module(module).main(arguments))
"""


def main(arguments: Sequence[str]) -> int:
    """List the drills, or run one in a process of its own and answer its exit code."""
    parser = argparse.ArgumentParser(
        "scripts/drill", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", nargs="?")
    parser.add_argument("--count", type=int, default=None, help="how many times (each drill has its own number)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same moments")
    parser.add_argument("--save", nargs="?", const="", metavar="AS", help=f"keep the output in {RECORDS}")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    wanted, own = parser.parse_known_args(arguments[:end])
    drills = {path.stem.removeprefix("drill_"): path for path in sorted(DRILLS.glob("drill_*.py"))}
    if wanted.name not in drills:
        _list(drills)
        if wanted.name is not None:
            print(f"no drill is called {wanted.name}", file=sys.stderr)
        return 2 if wanted.name else 0
    seed = secrets.randbelow(2**32) if wanted.seed is None else wanted.seed
    numbers = [] if wanted.count is None else ["--count", str(wanted.count)]
    options = [*numbers, "--seed", str(seed), *own, *arguments[end + 1 :]]
    record = None if wanted.save is None else RECORDS / f"{wanted.save or wanted.name}.txt"
    return _run(wanted.name, drills[wanted.name], options, record)


def _list(drills: dict[str, Path]) -> None:
    for name, path in drills.items():
        purpose = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"{name:16} {purpose.partition(chr(10))[0]}")
    if not drills:
        print(f"there is no drill yet: a drill is a file {DRILLS}/drill_NAME.py with main(arguments)")


def _run(name: str, path: Path, options: list[str], record: Path | None) -> int:
    heading = f"$ scripts/drill {' '.join((name, *options))}\n"
    print(heading, end="", flush=True)
    command = [sys.executable, "-u", "-c", LAUNCH, str(path.parent), path.stem, *options]
    said = [heading]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for number in (signal.SIGTERM, signal.SIGINT):  # the drill is to end what it has started, and this comes after
            signal.signal(number, lambda number, _frame: process.send_signal(number))
        for line in process.stdout or ():
            print(line, end="", flush=True)
            said.append(line)
    if record is not None:
        RECORDS.mkdir(parents=True, exist_ok=True)
        record.write_text("".join(said), encoding="utf-8")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
