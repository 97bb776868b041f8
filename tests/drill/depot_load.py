"""The load of the depot, and what came of it while migrations ran."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from depot import Depot, row_id
from open_loop import END, Found, Generator, Request
from served import head, quantile

CONNECTIONS = 400
FAR = 3600.0
BOUND_SECONDS = 2.0
"""The longest that 99 of 100 answers may take while a migration runs."""


class Load:
    """Requests at a rate, sent from a thread of their own, and what came of them by phase."""

    def __init__(self, port: int, wanted: Any) -> None:
        self._generator = Generator(port, requests(wanted.rows), CONNECTIONS, wanted.seed)
        self._rate: float = wanted.rate
        self._phases: list[tuple[str, float, float]] = []
        self._ending = threading.Event()
        self._begun = time.monotonic()
        self._found: Found | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._begun = time.monotonic()
        self._found = self._generator.open(self._rate, FAR, lambda _: END if self._ending.is_set() else None)

    def begin(self, phase: str) -> None:
        """Note that something begins."""
        self._phases.append((phase, time.monotonic() - self._begun, FAR))

    def finish(self) -> None:
        """Note that it has ended."""
        phase, since, _ = self._phases[-1]
        self._phases[-1] = (phase, since, time.monotonic() - self._begun)

    def end(self) -> Found:
        """Send nothing more, wait for the answers, and return what was found."""
        self._ending.set()
        self._thread.join()
        self._generator.close()
        assert self._found is not None
        return self._found

    def faults(self, depot: Depot) -> dict[str, Any]:
        """Return what went wrong with requests."""
        found = self._found
        assert found is not None
        failed = {f"{name} {status}": n for (name, status), n in found.statuses.items() if status >= 400}
        faults: dict[str, Any] = {"failed": failed} if failed else {}
        if found.lost or found.unsent:
            faults["lost_or_unsent"] = [found.lost, found.unsent]
        slow = {f"{phase} {n}": p99 for n, (phase, p99) in enumerate(self._quantiles()) if p99 > BOUND_SECONDS}
        faults |= {"p99_seconds": slow} if slow else {}
        if faults:
            faults |= {"codes": dict(found.codes), "tracebacks": depot.tracebacks()[:2]}
        return faults

    def _quantiles(self) -> list[tuple[str, float]]:
        assert self._found is not None
        return [(phase, self._found.p(0.99, since, until)) for phase, since, until in self._phases]

    def told(self) -> dict[str, Any]:
        """Return the figures."""
        found = self._found
        assert found is not None
        return {
            "requests": found.sent,
            "a_second": round(found.rate),
            "failed": sum(n for (_, status), n in found.statuses.items() if status >= 400) + found.lost + found.unsent,
            "phases": [
                {
                    "phase": phase,
                    "seconds": round(until - since, 1),
                    "p99_ms": round(1000 * found.p(0.99, since, until)),
                }
                for phase, since, until in self._phases
            ],
            "p99_ms": round(1000 * quantile(found.served, 0.99), 1),
            "max_ms": round(1000 * quantile(found.served, 1), 1),
            "generator_late_p99_ms": round(1000 * quantile(found.late, 0.99), 1) if found.late else 0.0,
        }


def requests(rows: int) -> list[Request]:
    """Return what is asked for: rows are read, listed, added and changed."""
    ids = [row_id(number * rows // 600) for number in range(600)]
    return [
        Request("list", 100, head("GET", "/parcels", b"", {})),
        Request("bring", 200, _posted("/parcels", {"mark": "brought"})),
        *(Request("look", 1, head("GET", f"/parcels/{one}", b"", {})) for one in ids[:300]),
        *(Request("turn", 1, _posted(f"/parcels/{one}", {"quantity": 1})) for one in ids[300:600]),
    ]


def _posted(path: str, body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    return head("POST", path, raw, {}) + raw
