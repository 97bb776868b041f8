"""The doors of webhooks: which use case is reached how, by whom, how often, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstay.model.limits import limit
from mainstay.model.module import Module
from mainstay.model.operation import Source
from mainstay.model.policy import Policy
from mainstay.model.problem import StaleVersion, snake_case
from mainstay.model.structs import Event
from mainstay.webhooks import deliveries, endpoints
from mainstay.webhooks.deliveries import Deliveries, EndpointIsDisabled
from mainstay.webhooks.endpoints import Endpoints, TooManyEndpoints
from mainstay.webhooks.entities import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret, WebhookShare
from mainstay.webhooks.secrets import SecretBook, TooManySecrets
from mainstay.webhooks.telling import tell

PARTS: Sequence[type[Any]] = (SecretBook, Endpoints, Deliveries)
"""What the use cases are put together from, anew for each call."""

OUTGOING = [limit("30/minute")]
"""How often a caller may have something sent at its word."""

DISABLE = "disable_webhook_endpoint"
"""The operation by which the sender disables an endpoint."""


def open_doors(module: Module, path: str, allow: Policy) -> None:
    """Declare the entities and the doors of webhooks; their paths begin with ``path``."""
    module.entity(WebhookEndpoint, WebhookSecret, WebhookDelivery, WebhookAttempt, WebhookShare)
    _doors_of_endpoints(module, f"{path}/endpoints", allow)
    _doors_of_deliveries(module, f"{path}/deliveries", f"{path}/endpoints/{{endpoint_id}}", allow)


def _doors_of_endpoints(module: Module, base: str, allow: Policy) -> None:
    one = f"{base}/{{endpoint_id}}"
    module.command(f"POST {base}", status=201, allow=allow, idempotency="none", raises=[TooManyEndpoints])(
        endpoints.create_webhook_endpoint
    )
    module.query(f"GET {base}", allow=allow)(endpoints.list_webhook_endpoints)
    module.query(f"GET {one}", allow=allow)(endpoints.get_webhook_endpoint)
    module.command(f"PATCH {one}", allow=allow, raises=[StaleVersion])(endpoints.change_webhook_endpoint)
    module.command(f"DELETE {one}", allow=allow, raises=[StaleVersion])(endpoints.delete_webhook_endpoint)
    module.command(f"POST {one}/secret/rotate", allow=allow, idempotency="none", raises=[TooManySecrets, StaleVersion])(
        endpoints.rotate_webhook_secret
    )
    module.command(f"POST {one}/disable", allow=allow, raises=[StaleVersion])(endpoints.disable_webhook_endpoint)
    module.command(f"POST {one}/enable", allow=allow, raises=[StaleVersion])(endpoints.enable_webhook_endpoint)


def _doors_of_deliveries(module: Module, base: str, endpoint: str, allow: Policy) -> None:
    one = f"{base}/{{delivery_id}}"
    refusing = [EndpointIsDisabled, StaleVersion]
    module.query(f"GET {base}", allow=allow)(deliveries.list_webhook_deliveries)
    module.query(f"GET {one}", allow=allow)(deliveries.get_webhook_delivery)
    module.query(f"GET {one}/attempts", allow=allow)(deliveries.list_webhook_attempts)
    module.command(f"POST {one}/resend", status=202, allow=allow, limits=OUTGOING, raises=refusing)(
        deliveries.resend_webhook_delivery
    )
    module.command(f"POST {endpoint}/resend", status=202, allow=allow, limits=OUTGOING, raises=refusing)(
        deliveries.resend_failed_webhooks
    )
    module.command(f"POST {endpoint}/test", status=202, allow=allow, limits=OUTGOING, raises=refusing)(
        deliveries.test_webhook_endpoint
    )


def tell_of(module: Module, event: type[Event] | str, source: Source) -> None:
    """Have endpoints told of an event; ``source`` is the line that asks for it."""
    name = event.replace(".", "_") if isinstance(event, str) else event.__name__
    module.on(event, name=f"tell_webhooks_of_{snake_case(name)}")(tell)
    module.operations[-1] = msgspec.structs.replace(module.operations[-1], source=source)
