"""The task that is the effect of an event, with Celery set up to lose none: confirms, and late acknowledgements."""

from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_ready
from shared import CONNECTIONS, URL, log
from sync_effects import Effects

effects = Effects()
app = Celery("events", broker=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="celery-shipping",
    worker_prefetch_multiplier=2,
    worker_concurrency=CONNECTIONS,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True} if URL.startswith("amqp") else {},
)


@worker_init.connect
def opened(**_: Any) -> None:
    effects.open()


@worker_ready.connect
def ready(**_: Any) -> None:
    log("ready")


@app.task(name="pack")
def pack(payload: str) -> None:
    effects.pack(payload)
