"""Readiness: should calls be sent here now, and if not, why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from mainstay.app.seat import read_status

if TYPE_CHECKING:
    from mainstay.app.assembly import Application

State = Literal["ok", "degraded", "failed"]


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one part says of itself. What is degraded does not stop calls."""

    name: str
    state: State
    reason: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """The verdict, and what it rests on."""

    ready: bool
    checks: tuple[Check, ...]


def judge(application: Application) -> Readiness:
    """Ask every part of an application. Quick: nothing is waited for."""
    checks = (
        _process(application),
        _store(application),
        _workers(application),
        _events(application),
        _secrets(application),
    )
    found = tuple(check for check in checks if check is not None)
    return Readiness(all(check.state != "failed" for check in found), found)


def _process(application: Application) -> Check:
    if application.stopping:
        return Check("service", "failed", "it is stopping")
    return Check("service", "ok") if application.started else Check("service", "failed", "it is starting")


def _store(application: Application) -> Check:
    store = application.ports.store
    reason = store.health()
    if reason is not None:
        return Check("database", "failed", reason)
    lacking = store.degraded()
    return Check("database", "ok") if lacking is None else Check("database", "degraded", lacking)


def _workers(application: Application) -> Check | None:
    """What the supervisor says: a worker that keeps dying makes the whole host unready, since nobody knows why yet."""
    run = application.place.run
    status = read_status(run) if run is not None else None
    if status is None:
        return None
    if status.failing:
        names = ", ".join(map(str, status.failing))
        return Check("workers", "failed", f"worker {names} keeps dying: see the log")
    if not status.whole:
        return Check("workers", "failed", f"{status.ready} of {status.workers} have started")
    if status.ready < status.workers:
        return Check("workers", "degraded", f"{status.ready} of {status.workers} are running")
    return Check("workers", "ok")


def _events(application: Application) -> Check | None:
    """What is away or was given up stops no call."""
    worker = application.worker
    if worker is None:
        return None
    counters = worker.counters
    reasons = ["the broker is away"] if counters.broker_away else []
    if counters.dead:
        reasons.append(f"{counters.dead} messages went to the dead letters")
    return Check("events", "degraded", "; ".join(reasons)) if reasons else None


def _secrets(application: Application) -> Check | None:
    """What could not be looked up again: the values of before count on."""
    failing = {} if application.renewal is None else application.renewal.failing
    if not failing:
        return None
    return Check("secrets", "degraded", f"not renewed: {', '.join(sorted(failing))}; see the log")
