"""Messages of webhooks: whose an event is, what it is called, when it was, and how it is signed."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from mainstay import StandardWebhooks
from mainstay.adapters.local.ids import SystemIds
from mainstay.model.principal import Principal
from mainstay.testing.fixed import START, SequentialIds
from mainstay.webhooks.messages import body_of, headers_of, message_id, moment_of
from mainstay.webhooks.rules import WebhookRules
from mainstay.webhooks.secrets import new_secret

ANN = Principal(id=UUID(int=5), subject="ann")
OF_ACME = Principal(id=UUID(int=5), subject="ann", tenant="acme")


@pytest.mark.parametrize(
    ("to", "who", "mine", "told"),
    [
        ("", ANN, f"owner:{ANN.id}", f"owner:{ANN.id}"),
        ("", OF_ACME, "tenant:acme", "tenant:acme"),
        ("customer", OF_ACME, f"owner:{ANN.id}", "owner:c-1"),
        ("*", OF_ACME, "*", "*"),
        ("nobody", ANN, f"owner:{ANN.id}", None),
        ("absent", ANN, f"owner:{ANN.id}", None),
    ],
)
def test_whose_an_event_is(to: str, who: Principal, mine: str, told: str | None) -> None:
    rules = WebhookRules(to=to)
    assert rules.audience_of(who) == mine
    assert rules.audience_of_event(b'{"customer": "c-1", "nobody": null}', who) == told


def test_a_tenant_is_no_owner_of_its_name() -> None:
    odd = Principal(id=UUID(int=5), subject="ann", tenant=f"x\x00owner:{ANN.id}")
    assert WebhookRules().audience_of(odd).startswith("tenant:")
    assert WebhookRules().audience_of(Principal(id=UUID(int=6), subject="e", tenant="*")) == "tenant:*"


def test_a_message_has_one_id_however_often_it_is_made() -> None:
    one, two, event, other = (UUID(int=n) for n in range(1, 5))
    assert message_id(one, event) == message_id(one, event)
    assert len({message_id(e, o) for e in (one, two) for o in (event, other)}) == 4
    assert len(message_id(one, event)) == 36


def test_the_time_of_an_event_is_that_of_its_emission() -> None:
    made = SystemIds().next()
    assert abs((moment_of(made, START) - datetime.now(UTC)).total_seconds()) < 60
    assert moment_of(UUID(int=1), START) == START


def test_a_body_says_type_time_and_data_and_no_more() -> None:
    body = body_of("orders.OrderPlaced", START, b'{"total":"12.50"}')
    assert body == '{"type":"orders.OrderPlaced","timestamp":"2026-01-01T00:00:00Z","data":{"total":"12.50"}}'
    assert msgspec.json.decode(body)["data"] == {"total": "12.50"}


def test_a_message_is_signed_with_each_secret() -> None:
    secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA"]
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', secrets)
    first, second = headers["webhook-signature"].split(" ")
    assert first == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert second.startswith("v1,")
    scheme = StandardWebhooks()
    for secret in secrets:
        assert scheme.verify(headers.get, b'{"test": 2432232314}', [scheme.key(secret)], 1614265330.0)


def test_secrets_are_long_and_never_the_same() -> None:
    ids = SequentialIds()
    made = {new_secret(ids) for _ in range(50)}
    assert len(made) == 50
    assert all(len(StandardWebhooks().key(secret)) == 32 for secret in made)
