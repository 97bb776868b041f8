"""The broker of ``sqs://`` URLs."""

from __future__ import annotations

from mainstay.adapters.sqs.broker import SqsBroker
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer


def make(settings: Settings, clock: Clock, observer: Observer) -> Broker:  # noqa: ARG001 - the form of a factory
    """Topics of SNS and queues of SQS, with the credentials that the AWS tools find. Raises ``Refusal``."""
    try:
        return SqsBroker(settings.events.reveal())
    except ValueError as fault:
        raise Refusal(
            f"events ({settings.source('events')}): {fault}",
            "credentials are no part of it: they are found as the AWS tools find them",
        ) from None
