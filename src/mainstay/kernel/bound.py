"""Operations bound for running: every decision that can be taken before the first call is taken here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from mainstay.kernel.call import Call, Reply
from mainstay.model.operation import Operation
from mainstay.model.problem import Problem
from mainstay.model.signature import Signature
from mainstay.model.structs import Entity
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.encryption import FieldCipher
from mainstay.ports.ids import Entropy, Ids
from mainstay.ports.limiter import Limiter
from mainstay.ports.observer import Observer
from mainstay.ports.recent_writes import RecentWrites
from mainstay.ports.sealer import Sealer
from mainstay.ports.store import Store
from mainstay.ports.tokens import TokenVerifier
from mainstay.ports.unit_of_work import EntityPlan

Stage = Callable[[Call], Awaitable[None] | None]
"""A stage takes a call and raises a Problem; it returns an awaitable only where it must wait."""

Render = Callable[[Call, Any], Reply]
"""Turns what a use case returned into a reply, inside the transaction."""

Invoke = Callable[[Call], Awaitable[Reply]]


async def _unbound(call: Call) -> Reply:
    raise RuntimeError(f"{call.operation.name} is not bound yet")


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The adapters of one running service, one for each port that the core takes."""

    store: Store
    limiter: Limiter
    clock: Clock
    ids: Ids
    entropy: Entropy
    sealer: Sealer
    observer: Observer
    tokens: TokenVerifier | None = None
    cipher: FieldCipher | None = None  # where fields are encrypted
    recent: RecentWrites | None = None  # where queries may go to a replica, which lags
    broker: Broker | None = None  # that events go through; None: they stay within the service's database
    held_seconds: float | None = None  # in development: warn of a transaction held open over a longer wait


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """The media types of an operation, for protocols that have them."""

    accepts: tuple[str, ...] = ()  # of the body; empty: it takes none
    gives: str = "application/json"


class BoundOperation(msgspec.Struct, kw_only=True, eq=False):
    """An operation with its stages, in running order, and its use case behind them.

    ``head`` needs no body: a protocol may run it before it reads one. ``inline`` says that the operation is likely to
    end without waiting, and may be driven without a Task.
    """

    operation: Operation
    signature: Signature
    name: str
    status: int
    media: Media
    index: int
    inline: bool
    deadline: float
    ports: Ports
    plans: Mapping[type[Entity], EntityPlan]
    stages: tuple[Stage, ...] = ()
    judging: tuple[Stage, ...] = ()  # those that find out who calls and whether it may: again and again in a stream
    authorise: Stage | None = None  # the last of them, for who asks within this process; None: anyone may
    invoke: Invoke = _unbound
    direct: bool = False  # a consumer that reaches nothing but the database: its message need not be stored before
    refused: Callable[[Call, Problem], Awaitable[None]] | None = None  # told of calls that a policy has refused
    running: int = 0  # calls under way, read at scrape time
