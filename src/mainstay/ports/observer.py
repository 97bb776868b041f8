"""Observations: what happened, once, as a value. Logs, metrics and traces listen; nothing else logs or counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from mainstay.model.principal import Principal
from mainstay.model.problem import Kind


class CallEnded(msgspec.Struct, frozen=True):
    """One call through the pipeline, from its arrival to its answer."""

    operation: str
    protocol: str
    method: str
    target: str  # the path as asked for, without the query
    status: int  # of success, where kind is None
    kind: Kind | None  # of the problem, where it ended in one
    code: str | None  # of the problem
    seconds: float
    principal: Principal
    peer: str
    request_id: str
    traceparent: str | None
    replayed: bool
    attempts: int
    error: BaseException | None  # the unexpected exception of a 500, for the log only


class OutgoingEnded(msgspec.Struct, frozen=True):
    """One call of this service to another over HTTP, redirects included. Neither path nor query is kept: both may be
    secrets.
    """

    method: str
    origin: str  # scheme, host and port; "" of a URL that was none
    status: int | None  # None: there was no answer
    code: str | None  # of the problem, where there was none
    reason: str  # why there was none
    seconds: float
    sent: int  # bytes of the body
    received: int
    request_id: str = ""  # of the call that it was made for
    traceparent: str | None = None


class Notice(msgspec.Struct, frozen=True):
    """Something that a person who runs the service should know: a start, a stop, a retry, a dead letter, a warning."""

    level: str  # debug, info, warning, error
    event: str  # snake_case, stable
    message: str
    facts: dict[str, Any] = {}
    error: BaseException | None = None


Observation = CallEnded | OutgoingEnded | Notice


class Observer(ABC):
    """Who listens. It must be quick and must not raise."""

    @abstractmethod
    def observe(self, observation: Observation) -> None:
        """Take one observation."""
