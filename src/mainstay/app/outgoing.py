"""Calls to the outside from settings: what may be called, and how a use case has the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainstay.adapters.outgoing.allowances import allowances
from mainstay.adapters.outgoing.client import Bounds, Cause, GuardedHttp
from mainstay.adapters.outgoing.guard import Guard
from mainstay.kernel.providers import Resolver, parameters_of
from mainstay.model.signature import Source
from mainstay.ports.http import HttpClient

if TYPE_CHECKING:
    from mainstay.app.settings import Settings
    from mainstay.kernel.bind import Bound
    from mainstay.kernel.scope import Scope
    from mainstay.model.service import Service
    from mainstay.ports.clock import Clock
    from mainstay.ports.observer import Observer


def make_http(service: Service, settings: Settings, clock: Clock, observer: Observer) -> GuardedHttp:
    """Return the client of a service. Nothing is opened yet."""
    outgoing, http, admin = settings.outgoing, settings.http, settings.admin
    listening = [(http.host, http.port)] + ([(admin.host, admin.port)] if settings.admin_open else [])
    guard = Guard(allowances(outgoing.allow), ports=outgoing.ports, listening=listening)
    bounds = Bounds(
        max_body=outgoing.max_body,
        connections=outgoing.connections,
        per_host=outgoing.connections_per_host,
        agent=f"{service.name}/{service.version}",
        certificates=str(settings.root / outgoing.certificates) if outgoing.certificates else None,
    )
    return GuardedHttp(guard, clock, observer, bounds)


def uses_http(bound: Bound) -> bool:
    """Whether an operation of a service, or what it is provided with, calls others."""
    parameters = (one.target for operation in bound.operations for one in operation.signature.of(Source.DEPENDENCY))
    provided = (type_ for provision in bound.service.provisions for type_ in parameters_of(provision.factory).values())
    return any(type_ is HttpClient for type_ in (*parameters, *provided))


def http_resolvers(client: HttpClient) -> Mapping[Any, Resolver]:
    """Return how a use case has the client: what it sends belongs to its call, and ends with it.

    What is made once for the service has the client itself.
    """

    def make(scope: Scope | None) -> HttpClient:
        if scope is None or not isinstance(client, GuardedHttp):
            return client
        call = scope.call
        return client.made_for(Cause(call.request_id, call.traceparent, call.deadline))

    return {HttpClient: Resolver(make=make, outside=True, tasks=True, shared=True)}
