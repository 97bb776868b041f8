"""Take each guard of the product out of a copy of the tree, and demand that its tests notice.

scripts/drill guards                    all of them, as tests/drill/guards/*.toml lists them
scripts/drill guards --only NAME        those whose names contain NAME, which may be given several times
scripts/drill guards --count 5          five, drawn by the seed
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "plugins"))

from guarding import Copy, drawn, guards_of, report  # noqa: E402 - a plugin of the tests


def main(arguments: Sequence[str]) -> int:
    """Judge guards and print a table; 0 where each of them was missed."""
    parser = argparse.ArgumentParser("scripts/drill guards", description=__doc__)
    parser.add_argument("--only", action="append", help="a part of the names")
    parser.add_argument("--count", type=int, help="so many (all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--root", type=Path, default=HERE.parents[1])
    options = parser.parse_args(arguments)
    wanted: list[str] = options.only or [""]
    guards = [guard for guard in guards_of(options.root) if any(name in guard.name for name in wanted)]
    if options.count is not None:
        guards = drawn(guards, options.count, options.seed)
    if not guards:
        print("there is no such guard", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        return report(Copy(options.root, Path(folder)), guards)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
