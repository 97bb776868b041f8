"""Calls to the outside from settings: what may be called, and how a use case has the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from mainstay.adapters.outgoing.allowances import Allowance, allowances
from mainstay.adapters.outgoing.client import Bounds, Cause, GuardedHttp
from mainstay.adapters.outgoing.guard import Guard
from mainstay.app.identity import identity_of
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


def make_http(
    service: Service, settings: Settings, clock: Clock, observer: Observer, *, connections: int | None = None
) -> GuardedHttp:
    """Return the client of a service. Nothing is opened yet.

    With ``connections`` it has so many, to whichever hosts: for a part that bounds its calls itself.
    """
    outgoing, http, admin = settings.outgoing, settings.http, settings.admin
    allowed = [*allowances(outgoing.allow), *_on_this_machine(service, settings)]
    listening = [(http.host, http.port)] + ([(admin.host, admin.port)] if settings.admin_open else [])
    guard = Guard(allowed, ports=outgoing.ports, listening=listening)
    bounds = Bounds(
        max_body=outgoing.max_body,
        connections=connections or outgoing.connections,
        per_host=connections or outgoing.connections_per_host,
        agent=f"{service.name}/{service.version}",
        certificates=str(settings.root / outgoing.certificates) if outgoing.certificates else None,
    )
    return GuardedHttp(guard, clock, observer, bounds)


def _issuers(service: Service, settings: Settings) -> list[str]:
    """Return the URLs of the issuers that are asked for their keys: those that are trusted, and those of log-ins."""
    identity = identity_of(service)
    providers = () if identity is None else identity.providers
    return [*(one.url for one in settings.auth.issuers), *(one.issuer for one in providers)]


def _on_this_machine(service: Service, settings: Settings) -> Sequence[Allowance]:
    """Return what lets issuers be called that are on this machine, outside production: each is allowed by its name."""
    if settings.is_production or not (issuers := _issuers(service, settings)):
        return ()
    from mainstay.adapters.oidc.metadata import is_loopback, issuer_fault

    parts = [urlsplit(url) for url in issuers if issuer_fault(url, loopback=True) is None]
    return allowances([_host_and_port(one) for one in parts if is_loopback(one.hostname or "")])


def _host_and_port(url: SplitResult) -> str:
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def uses_http(bound: Bound, settings: Settings) -> bool:
    """Whether a service calls others: an operation, what it is provided with, or what asks issuers for their keys."""
    if _issuers(bound.service, settings):
        return True
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
