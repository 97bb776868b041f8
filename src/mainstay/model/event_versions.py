"""Versions of events: the steps from one to the next, and which of them a consumer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.model.operation import Source
from mainstay.model.structs import Event

if TYPE_CHECKING:
    from mainstay.model.module import Module

Members = dict[str, Any]
"""The members of an event's JSON object."""

Step = Callable[[Members], Members]


class Upcaster(msgspec.Struct, frozen=True, kw_only=True):
    """The step from one version of an event to the next, for messages that were emitted before it."""

    event: type[Event]
    version: int  # that the step begins at
    function: Step
    source: Source


Upcasters = Mapping[tuple[type[Event], int], Upcaster]


def version_of(event: type[Event]) -> int:
    """Return the version that a class of an event has."""
    version: int = event.__mainstay_version__
    return version


def upcasters_of(modules: Iterable[Module]) -> Upcasters:
    """Return the steps that the modules declare, by the event and the version that they begin at; the first counts."""
    found: dict[tuple[type[Event], int], Upcaster] = {}
    for module in modules:
        for upcaster in module.upcasters:
            found.setdefault((upcaster.event, upcaster.version), upcaster)
    return found


def steps_to(event: type[Event], upcasters: Upcasters) -> dict[int, tuple[Step, ...]]:
    """Return what leads from each version that can be taken to that of the class; nothing from its own one."""
    version = version_of(event)
    known: dict[int, tuple[Step, ...]] = {version: ()}
    for before in range(version - 1, 0, -1):
        upcaster = upcasters.get((event, before))
        if upcaster is None:
            break
        known[before] = (upcaster.function, *known[before + 1])
    return known


def taken(event: type[Event], reads: Iterable[int], upcasters: Upcasters) -> dict[int, tuple[Step, ...]]:
    """Return the versions that a consumer takes, each with its steps; those in ``reads`` are read as they are."""
    return {**dict.fromkeys(reads, ()), **steps_to(event, upcasters)}
