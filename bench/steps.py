"""What a machine without valgrind counts: steps of a request in Python, and of the reference. Run by ``bench.gate``.

A step is a line that is run, or a call of a function, compiled ones included. It sees what Python code does and not
what compiled parts do by themselves: most of what a change to this project moves. W6 is left out of the gate, since its
writer's thread and the relay take turns as they come.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from types import FrameType
from typing import Any

from bench.counted import REFERENCE
from bench.hotpath import open_chain, run
from bench.reference import make

_WARM = 20
_REPEATS = 5


class Steps:
    """Counts lines and calls while it is on, in this thread."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Steps:
        sys.setprofile(self._called)
        sys.settrace(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _run(self, _frame: FrameType, event: str, _value: object) -> Callable[..., Any]:
        self.count += event in {"line", "call"}
        return self._run

    def _called(self, _frame: FrameType, event: str, _value: object) -> None:
        self.count += event == "c_call"


async def _least(work: Callable[[], Coroutine[Any, Any, object]]) -> int:
    """Return the steps of one call, the least of some: what happens once a second is in none."""
    counts = []
    for _ in range(_REPEATS):
        with Steps() as counter:
            await work()
        counts.append(counter.count)
    return min(counts)


async def count(names: list[str]) -> dict[str, int]:
    """Return the steps of the reference and of a request of each workload."""
    reference = make()

    async def unit() -> None:
        reference()

    found = {REFERENCE: await _least(unit)}
    async with open_chain() as chain:
        for name in names:
            for _ in range(_WARM):
                await chain.check(name)
            found[name] = await _least(partial(chain.answer, name))
    return found


def main(names: list[str]) -> None:
    """Count and print as JSON."""
    found: dict[str, int] = {}

    async def work() -> None:
        found.update(await count(names))

    run(work)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
