"""The use cases of endpoints: registered, changed, disabled and enabled, with secrets that are shown once."""

from __future__ import annotations

from uuid import UUID

from mainstay.model.fields import field
from mainstay.model.inputs import Find, Page, Patch
from mainstay.model.principal import Principal
from mainstay.model.problem import Conflict, Fault, Invalid, NotFound
from mainstay.model.structs import Dto
from mainstay.ports.bulk import Bulk
from mainstay.ports.clock import Clock
from mainstay.ports.events import Events
from mainstay.ports.http import AddressRefused
from mainstay.ports.http_target import target_of
from mainstay.ports.repository import Repository
from mainstay.webhooks.entities import (
    GONE,
    MAX_EVENTS,
    MAX_URL,
    DeliveryState,
    DisabledReason,
    WebhookDelivery,
    WebhookEndpoint,
)
from mainstay.webhooks.events import EndpointDisabled
from mainstay.webhooks.rules import WebhookRules
from mainstay.webhooks.secrets import SecretBook

MAX_OVERLAP = 7 * 86_400


class TooManyEndpoints(Conflict, hint="Delete one that is not needed."):
    """There are as many endpoints as there may be."""


class NewEndpoint(Dto):
    """An endpoint to be. Without ``events`` it is told of all."""

    url: str = field(min_length=1, max_length=MAX_URL)
    description: str = field(default="", max_length=200)
    events: list[str] = field(default_factory=list, max_length=MAX_EVENTS)


class EndpointMade(Dto):
    """A new endpoint. The secret is shown this once."""

    id: UUID
    secret: str


class Rotation(Dto):
    """How a secret is replaced: for ``overlap_seconds`` messages are signed with the old one as well (a day)."""

    overlap_seconds: int | None = field(default=None, ge=0, le=MAX_OVERLAP)


class SecretMade(Dto):
    """The new secret. It is shown this once."""

    secret: str


class Endpoints:
    """The endpoints that a caller may work with: those that are told of its events. The service itself has all."""

    def __init__(self, rows: Repository[WebhookEndpoint], who: Principal, rules: WebhookRules) -> None:
        self.rows = rows
        self.rules = rules
        self._who = who
        self.audience: str = rules.audience_of(who)

    async def get(self, id_: UUID, *, lock: bool = False) -> WebhookEndpoint:
        """Return an endpoint. Raises ``NotFound``, for those of others too."""
        endpoint = await self.rows.get(id_, lock=lock)
        if endpoint.audience != self.audience and not self._who.is_system:
            raise NotFound("there is no such WebhookEndpoint")
        return endpoint


def faults_of(rules: WebhookRules, url: str | None, events: list[str] | None) -> list[Fault]:
    """Return what is wrong with the address and the events of an endpoint; None: it is not changed."""
    faults = [
        Fault("invalid", "is the name of an event that is told", pointer=f"/events/{index}")
        for index, name in enumerate(events or ())
        if name not in rules.events
    ]
    if url is not None:
        scheme = _scheme(url)
        if scheme is None:
            faults.append(Fault("invalid", "is an http(s) URL without user information", pointer="/url"))
        elif scheme != "https" and not rules.plain_http:
            faults.append(Fault("invalid", "is a URL of https", pointer="/url"))
    return faults


def _scheme(url: str) -> str | None:
    try:
        return target_of(url).scheme
    except AddressRefused:
        return None


async def create_webhook_endpoint(
    new: NewEndpoint, who: Principal, endpoints: Endpoints, secrets: SecretBook
) -> EndpointMade:
    """Register an endpoint. The secret is shown this once, and cannot be looked up later."""
    faults = faults_of(endpoints.rules, new.url, new.events)
    if faults:
        raise Invalid(faults=faults)
    if await endpoints.rows.count(audience=endpoints.audience) >= endpoints.rules.most_endpoints:
        raise TooManyEndpoints(f"there may be {endpoints.rules.most_endpoints}")
    endpoint = await endpoints.rows.add(
        WebhookEndpoint(
            audience=endpoints.audience,
            person_id=who.id if endpoints.rules.is_told_alone(who) else None,
            owner_id=who.id,
            tenant=who.tenant,
            url=new.url,
            description=new.description,
            events=new.events,
        )
    )
    return EndpointMade(id=endpoint.id, secret=await secrets.issue(endpoint.id))


async def list_webhook_endpoints(find: Find[WebhookEndpoint], endpoints: Endpoints) -> Page[WebhookEndpoint]:
    """List the endpoints."""
    return await endpoints.rows.page(find, audience=endpoints.audience)


async def get_webhook_endpoint(endpoint_id: UUID, endpoints: Endpoints) -> WebhookEndpoint:
    """Show an endpoint."""
    return await endpoints.get(endpoint_id)


async def change_webhook_endpoint(
    endpoint_id: UUID, change: Patch[WebhookEndpoint], endpoints: Endpoints
) -> WebhookEndpoint:
    """Change the address, the description or the events of an endpoint."""
    endpoint = await endpoints.get(endpoint_id)
    faults = faults_of(endpoints.rules, change.changes.get("url"), change.changes.get("events"))
    if faults:
        raise Invalid(faults=faults)
    return await endpoints.rows.update(endpoint, change)


async def delete_webhook_endpoint(endpoint_id: UUID, endpoints: Endpoints) -> None:
    """Delete an endpoint, with its deliveries and what is on record of them."""
    await endpoints.rows.delete(await endpoints.get(endpoint_id))


async def rotate_webhook_secret(
    endpoint_id: UUID, wanted: Rotation, endpoints: Endpoints, secrets: SecretBook
) -> SecretMade:
    """Replace the secret of an endpoint. The new one is shown this once; the old one goes on for a time beside it."""
    endpoint = await endpoints.get(endpoint_id, lock=True)
    overlap = endpoints.rules.overlap_seconds if wanted.overlap_seconds is None else wanted.overlap_seconds
    return SecretMade(secret=await secrets.rotate(endpoint.id, overlap))


async def disable_webhook_endpoint(
    endpoint_id: UUID,
    who: Principal,
    endpoints: Endpoints,
    deliveries: Bulk[WebhookDelivery],
    events: Events,
    clock: Clock,
) -> WebhookEndpoint:
    """Have an endpoint told nothing any more. What it was still to be told counts as failed, and can be sent again."""
    endpoint = await endpoints.get(endpoint_id, lock=True)
    if endpoint.disabled_at is not None:
        return endpoint
    reason = DisabledReason.OWNER
    if who.is_system:  # the sender: the row says what it has met
        reason = DisabledReason.GONE if endpoint.failing_status == GONE else DisabledReason.FAILING
    await deliveries.update(
        endpoint_id=endpoint.id,
        state=DeliveryState.PENDING,
        set={"state": DeliveryState.FAILED, "due_at": None, "last_cause": "disabled"},
    )
    told = EndpointDisabled(
        endpoint_id=endpoint.id,
        owner_id=endpoint.owner_id,
        tenant=endpoint.tenant,
        description=endpoint.description,
        reason=reason,
    )
    events.emit(told, key=str(endpoint.id))
    return await endpoints.rows.update(endpoint, disabled_at=clock.now(), disabled_reason=reason)


async def enable_webhook_endpoint(endpoint_id: UUID, endpoints: Endpoints) -> WebhookEndpoint:
    """Have an endpoint told of events again, from now on; what it missed is sent where that is asked for."""
    endpoint = await endpoints.get(endpoint_id, lock=True)
    if endpoint.disabled_at is None:
        return endpoint
    healed = {"failing_since": None, "failing_status": None}
    return await endpoints.rows.update(endpoint, disabled_at=None, disabled_reason=None, **healed)
