"""Brokers from settings: the URL of ``events`` says which, and where. Without one events stay in the database."""

from __future__ import annotations

from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings import Settings
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer


def make_broker(settings: Settings, clock: Clock, observer: Observer) -> Broker | None:
    """Return the broker that the settings name, not opened yet, or None. Raises ``Refusal``."""
    url = settings.events.reveal()
    if not url:
        return None
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise Refusal(f"events ({settings.source('events')}) is no URL", "for example nats://host:4222")
    made: Broker = find("broker", scheme)(settings, clock, observer)
    return made


def memory(settings: Settings, clock: Clock, observer: Observer) -> Broker:  # noqa: ARG001 - the form of a factory
    """Messages that end with the process."""
    from mainstay.adapters.memory.broker import MemoryBroker

    if settings.http.workers > 1:
        raise Refusal(
            f"the memory broker belongs to one process, and http.workers is {settings.http.workers}",
            "use one worker, or another broker; without one, events stay in the database",
        )
    return MemoryBroker()
