"""Hold the served shop against its contract with generated requests, as a manager, a customer and nobody's customer.

Each round serves a fresh shop on a SQLite file and has Schemathesis try every operation in all of its phases. Any
failure is a fault of the contract or of the door.

    python tests/drill/drill_schemathesis.py --count 100 --seed 7
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PLUGINS = Path(__file__).parents[1] / "plugins"


def main(arguments: Sequence[str]) -> int:
    """Run with so many examples for each operation and phase; answer 1 where there was a failure."""
    sys.path.insert(0, str(PLUGINS))
    from contract_fuzzing import fuzz
    from shop_served import Person, run_shop

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="examples for each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    found = 0
    for person in (Person(1, "manager", "support"), Person(2, "customer"), Person(3)):
        with tempfile.TemporaryDirectory() as directory:
            running = run_shop(Path(directory))
            try:
                said = fuzz(running, person, Path(directory), examples=given.count, seed=given.seed, timeout=3600)
            finally:
                running.stop()
        if said:
            print(said)
        troubles = running.troubles.seen
        found += bool(said) + bool(troubles)
        print(json.dumps({"ok": not (said or troubles), "who": list(person.roles), "troubles": troubles[:5]}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
