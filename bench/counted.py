"""What callgrind counts: requests through the chain, and the reference, in windows. Started by ``bench.gate``.

Start-up and warm-up are not counted, each window is dumped by its name, and the least of a workload's windows holds:
what happens once a second (the Date header) is then in none.
"""

from __future__ import annotations

import gc
import sys

from bench.callgrind import Callgrind
from bench.hotpath import open_chain, run
from bench.reference import make

REFERENCE = "reference"
WINDOWS = 4
REQUESTS = 25
_WARM = 60


def main(names: list[str]) -> None:
    """Count the reference, then each workload."""
    counter = Callgrind()

    async def work() -> None:
        reference = make()
        async with open_chain() as chain:
            for name in names:
                for _ in range(_WARM):
                    await chain.check(name)
            for _ in range(_WARM):
                reference()
            gc.collect()
            gc.freeze()
            gc.disable()  # when it runs depends on what ran before; what it costs is not a request's
            counter.start()
            for window in range(WINDOWS):
                for _ in range(REQUESTS):
                    reference()
                counter.dump(f"{REFERENCE}/{window}")
            for name in names:
                for window in range(WINDOWS):
                    requests = [chain.request(name) for _ in range(REQUESTS)]
                    counter.zero()
                    for data in requests:
                        await chain.send(data)
                    counter.dump(f"{name}/{window}")
            counter.stop()

    run(work)


if __name__ == "__main__":
    main(sys.argv[1:])
