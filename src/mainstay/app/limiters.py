"""Limiters from settings."""

from __future__ import annotations

from pathlib import Path

from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter


def memory(settings: Settings, clock: Clock, run: Path | None) -> Limiter:  # noqa: ARG001 - the form of a factory
    """Count in this process."""
    from mainstay.adapters.memory.limiter import MemoryLimiter

    return MemoryLimiter(clock, max_keys=settings.limits.keys)


def shared(settings: Settings, clock: Clock, run: Path | None) -> Limiter:
    """Count in a file for all processes of this host: the one of the settings, or one of the run directory."""
    from mainstay.adapters.local.shared_limiter import SharedLimiter

    if settings.limits.path:
        return SharedLimiter(settings.root / settings.limits.path, clock, max_keys=settings.limits.keys)
    if run is None:
        return memory(settings, clock, run)  # one process, counting for itself, is all of them
    return SharedLimiter(run / "limits", clock, max_keys=settings.limits.keys)
