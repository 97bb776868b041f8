"""The gate of the hot path: instructions a request, counted by callgrind, against the committed baseline.

Instructions do not depend on the load of the machine, so that a few per cent can be seen where a clock could not. They
are told as a ratio to a fixed piece of work (``bench.reference``) counted in the same run, since Python builds differ.
Where valgrind is missing, the tests count steps in Python (``bench.steps``) the same way.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.counted import REFERENCE, REQUESTS

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "bench" / "baseline.json"
WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6")
SAME_BUILD = 0.03  # the same build repeats itself within 1 %
SAME_VERSION = 0.06  # two builds of one version, with and without profile guidance, differed by 4 %
OTHER_VERSION = 0.15  # 3.12 and 3.13 were up to 11 % from 3.11
BY_CHANCE = {"W6": 0.08}  # its writer's thread and the loop take turns as they come: 956,000 to 1,020,000 were counted
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH")  # a coverage or debug variable would be counted, too
_TIMEOUT = 600


class GateError(Exception):
    """The gate cannot be run; the message says what to do."""


@dataclass(frozen=True)
class Count:
    """What one unit of the reference and one request of each workload cost, and the build that ran them.

    ``unit`` is ``instructions`` or ``steps``.
    """

    unit: str
    build: str
    reference: int
    costs: dict[str, int]

    def ratio(self, name: str) -> float:
        """What a request costs in units of the reference."""
        return self.costs[name] / self.reference


@dataclass(frozen=True)
class Finding:
    """A workload beside its baseline; ``change`` is 0.05 for 5 % more."""

    name: str
    change: float
    tolerance: float

    @property
    def failed(self) -> bool:
        """Whether it costs more than noise explains."""
        return self.change > self.tolerance


def build_of_python() -> str:
    """Return the version of the running Python and a mark of its binary: two builds of one version differ in it."""
    library = Path(sysconfig.get_config_var("LIBDIR") or "") / (sysconfig.get_config_var("LDLIBRARY") or "-")
    binary = library if library.suffix not in {"", ".a"} and library.is_file() else Path(sys.executable).resolve()
    return f"{platform.python_version()} {hashlib.sha256(binary.read_bytes()).hexdigest()[:12]}"


def count(names: Sequence[str] = WORKLOADS, *, package: Path | None = None) -> Count:
    """Run the workloads under callgrind. ``package`` is a folder with another copy of the package.

    Raises ``GateError`` where valgrind is missing or the run fails.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise GateError("the gate counts instructions with valgrind, which is missing: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        command = [valgrind, "--quiet", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=counts"]
        _run([*command, sys.executable, "-m", "bench.counted", *names], folder, package)
        found = read(path.read_text(errors="replace") for path in Path(folder).glob("counts.*"))
    if missing := {REFERENCE, *names} - found.keys():
        raise GateError(f"callgrind counted nothing of {', '.join(sorted(missing))}")
    return Count("instructions", build_of_python(), found[REFERENCE], {name: found[name] for name in names})


def count_steps(names: Sequence[str] = WORKLOADS[:5], *, package: Path | None = None) -> Count:
    """Count steps in Python, which needs no tool. Raises ``GateError`` where the run fails."""
    with tempfile.TemporaryDirectory() as folder:
        said = _run([sys.executable, "-m", "bench.steps", *names], folder, package)
    found = json.loads(said.splitlines()[-1])
    return Count("steps", build_of_python(), found[REFERENCE], {name: found[name] for name in names})


def _run(command: list[str], folder: str, package: Path | None) -> str:
    """Run a counted program on the package of this tree, or on the copy in a folder; return what it printed."""
    places = [str(package)] if package else []
    environment = {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([*places, str(ROOT / "src"), str(ROOT)]),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if done.returncode:
        raise GateError(f"the counted run ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def read(profiles: Iterable[str]) -> dict[str, int]:
    """Return the instructions of one unit by name, the least of the windows, from the texts of callgrind's files."""
    found: dict[str, int] = {}
    for text in profiles:
        name = re.search(r"^desc: Trigger: Client Request: (\w+)/\d+$", text, re.MULTILINE)
        total = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
        if name and total:
            units = int(total[1]) // REQUESTS
            found[name[1]] = min(found.get(name[1], units), units)
    return found


def load(unit: str = "instructions", path: Path = BASELINE) -> Count:
    """Return the committed baseline in a unit. Raises ``GateError`` where there is none."""
    try:
        return Count(**json.loads(path.read_bytes())[unit])
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise GateError(f"{path} is no baseline ({fault}): scripts/bench --gate --write makes one") from None


def write(counts: Iterable[Count], path: Path = BASELINE) -> None:
    """Make these the baseline."""
    path.write_text(json.dumps({one.unit: asdict(one) for one in counts}, indent=2) + "\n")


def compare(counted: Count, baseline: Count) -> list[Finding]:
    """Return a finding for each workload that was counted."""
    tolerance = _tolerance(counted.build, baseline.build)
    known: Mapping[str, int] = baseline.costs
    return [
        Finding(name, counted.ratio(name) / baseline.ratio(name) - 1, max(tolerance, BY_CHANCE.get(name, 0.0)))
        for name in counted.costs
        if name in known
    ]


def _tolerance(here: str, there: str) -> float:
    if here == there:
        return SAME_BUILD
    return SAME_VERSION if _minor(here) == _minor(there) else OTHER_VERSION


def _minor(build: str) -> list[str]:
    return build.split(".")[:2]


def main(*, keep: bool, names: Sequence[str] = WORKLOADS) -> int:
    """Count and judge, or with ``keep`` count and write the baseline. Returns the exit code."""
    try:
        counted = count(WORKLOADS if keep else names)
        if keep:
            write([counted, count_steps()])
            print(f"wrote {BASELINE.relative_to(ROOT)}: {_told(counted)}")
            return 0
        findings = compare(counted, load())
    except GateError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    print(f"Python {counted.build}; reference: {counted.reference:,} instructions")
    for one in findings:
        judged = "FAILED" if one.failed else "ok"
        instructions = counted.costs[one.name]
        print(
            f"{judged:6} {one.name} {instructions:>9,} instructions, {one.change:+.1%} (at most {one.tolerance:+.0%})"
        )
        if one.change < -one.tolerance:
            print(f"       {one.name} got cheaper: keep it by scripts/bench --gate --write")
    return int(any(one.failed for one in findings))


def _told(counted: Count) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counted.costs.items())
