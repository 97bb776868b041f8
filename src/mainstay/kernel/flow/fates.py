"""Fates: what becomes of a message that its consumer did not do, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.flow.calling import detail_of, pause_after
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.filing import dead_letter
from mainstay.kernel.flow.judging import dead, put_off
from mainstay.kernel.flow.queues import ConsumerQueue
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.problem import Problem
from mainstay.ports.observer import Notice

REST_SECONDS = 1.0
"""How long a consumer rests whose messages can neither be done nor be put off: the database does not take it."""


def after_failure(row: InboxMessage, problem: Problem, consumer: BoundOperation, ports: Ports) -> dict[str, Any]:
    """Return what is to be changed of a message that failed: it is put off, or given up after its last attempt."""
    attempts = row.attempts + 1
    if attempts >= consumer.operation.attempts:
        return {**dead(problem.code, detail_of(problem, row)), "attempts": attempts}
    due = ports.clock.now() + timedelta(seconds=pause_after(attempts, problem, ports))
    return {**put_off(due), "cause": problem.code, "detail": detail_of(problem, row), "attempts": attempts}


def tell(row: InboxMessage, changes: Mapping[str, Any], counters: FlowCounters, ports: Ports) -> None:
    """Count and tell of a change of a message that was committed."""
    state = changes.get("state")
    if state is State.DROPPED:
        counters.of(row.consumer).dropped += 1
    elif state is State.DEAD:
        counters.of(row.consumer).dead += 1
        ports.observer.observe(dead_letter(replace(row, **changes)))


def rest(queue: ConsumerQueue, error: Exception, ports: Ports) -> None:
    """Have a consumer begin nothing for a while: what became of one of its messages could not be noted."""
    queue.rests_until = ports.clock.monotonic() + REST_SECONDS
    text = f"what became of a message of {queue.name} cannot be noted now; trying again"
    ports.observer.observe(Notice("error", "consumer_waits", text, {"consumer": queue.name}, error))
