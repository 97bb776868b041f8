"""The services that the drills of events break: one sends letters, another notes them, or one service does both.

It is copied into the folder of each and served from there, as ``DRILL_MODULES`` says. Nothing is unique that need not
be: what was done twice is to be seen, not refused.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from mainstay import Conflict, Dto, Entity, Event, Events, Module, Repository, Service, anyone, field

ATTEMPTS = int(os.environ.get("DRILL_ATTEMPTS", "10"))
NAP = float(os.environ.get("DRILL_NAP", "0"))  # seconds that a consumer waits at most before it begins
CURE = Path("cured")  # once it is there, nothing is poison any more

sender, receiver = Module("sender"), Module("receiver")


class Letter(Entity):
    """What was committed together with its event."""

    mark: str = field(max_length=80, index=True)
    poison: bool = False


class Lane(Entity):
    name: str = field(unique=True, max_length=40)
    n: int = 0  # letters sent


class Sent(Event):
    mark: str
    lane: str  # its key; "" where it has none
    n: int  # its number in its lane, from 1
    poison: bool


class Send(Dto):
    """Letters to send in one transaction: ``mark.0`` and so on, the first ``poison`` of them poison."""

    mark: str = field(max_length=60)
    lane: str = field(max_length=40, default="")
    count: int = field(ge=1, le=500, default=1)
    poison: int = 0


@sender.command("POST /letters", status=201, allow=anyone)
async def send(wanted: Send, letters: Repository[Letter], lanes: Repository[Lane], events: Events) -> int:
    lane = await _lane(lanes, wanted.lane) if wanted.lane else None
    for number in range(wanted.count):
        mark, poison, n = f"{wanted.mark}.{number}", number < wanted.poison, (lane.n if lane else 0) + number + 1
        await letters.add(Letter(mark=mark, poison=poison))
        events.emit(Sent(mark=mark, lane=wanted.lane, n=n, poison=poison), key=wanted.lane or None)
    if lane is not None:
        await lanes.update(lane, n=lane.n + wanted.count)
    return wanted.count


async def _lane(lanes: Repository[Lane], name: str) -> Lane:
    async for lane in lanes.stream(name=name):
        return lane
    return await lanes.add(Lane(name=name))


class Effect(Entity):
    mark: str = field(max_length=80, index=True)


class Place(Entity):
    lane: str = field(unique=True, max_length=40)
    arrived: int = 0  # the last that came
    disorder: int = 0  # how often it was not the next one


class Heard(Event):
    """What the receiver wants to know of a letter."""

    mark: str
    lane: str
    n: int
    poison: bool


class Spoilt(Conflict):
    """The letter cannot be noted."""


@receiver.on("sender.Sent", attempts=ATTEMPTS, concurrency=16)
async def note(event: Heard, effects: Repository[Effect], places: Repository[Place]) -> None:
    if NAP:
        await asyncio.sleep(NAP * random.random())
    if event.poison and not CURE.exists():
        raise Spoilt
    if event.lane:
        await _arrive(event, places)
    await effects.add(Effect(mark=event.mark))


async def _arrive(event: Heard, places: Repository[Place]) -> None:
    async for place in places.stream(lane=event.lane):
        disorder = place.disorder + (event.n != place.arrived + 1)
        await places.update(place, arrived=event.n, disorder=disorder)
        return
    await places.add(Place(lane=event.lane, arrived=event.n, disorder=int(event.n != 1)))


_NAMES = os.environ["DRILL_MODULES"].split(",")
service = Service("-".join(_NAMES), version="1.0.0", modules=[one for one in (sender, receiver) if one.name in _NAMES])
