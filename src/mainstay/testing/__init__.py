"""What a team tests its service with. The pytest fixtures are a plugin: ``mainstay.testing.plugin``.

The names are fetched at their first use: no part of pytest is imported here.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstay.adapters.memory.http import MemoryHttp
    from mainstay.testing.answer import Answer
    from mainstay.testing.client import Client
    from mainstay.testing.fixed import ClearSealer, FixedClock, SeededEntropy, SequentialIds
    from mainstay.testing.people import as_principal
    from mainstay.testing.queries import AssertQueries, assert_queries
    from mainstay.testing.recorder import Recorder
    from mainstay.testing.scenario import Scenario
    from mainstay.testing.unit import MemoryUnit, memory_unit

_PLACES = {
    "Answer": "answer",
    "AssertQueries": "queries",
    "Client": "client",
    "ClearSealer": "fixed",
    "FixedClock": "fixed",
    "MemoryHttp": "mainstay.adapters.memory.http",
    "MemoryUnit": "unit",
    "Recorder": "recorder",
    "Scenario": "scenario",
    "SeededEntropy": "fixed",
    "SequentialIds": "fixed",
    "as_principal": "people",
    "assert_queries": "queries",
    "memory_unit": "unit",
}

__all__ = [
    "Answer",
    "AssertQueries",
    "ClearSealer",
    "Client",
    "FixedClock",
    "MemoryHttp",
    "MemoryUnit",
    "Recorder",
    "Scenario",
    "SeededEntropy",
    "SequentialIds",
    "as_principal",
    "assert_queries",
    "memory_unit",
]


def __getattr__(name: str) -> Any:
    """Fetch a public name (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    place = _PLACES[name]
    value = globals()[name] = getattr(import_module(place if "." in place else f"{__name__}.{place}"), name)
    return value


def __dir__() -> list[str]:
    """Name what there is."""
    return sorted({*globals(), *__all__})
