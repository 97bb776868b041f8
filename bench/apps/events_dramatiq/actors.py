"""The actor that is the effect of an event, with Dramatiq set up to lose none: confirms, beside its late answers."""

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware
from shared import URL, log
from sync_effects import Effects

effects = Effects()


class Database(Middleware):
    """Opens the database of a worker."""

    def after_process_boot(self, _broker: dramatiq.Broker) -> None:
        effects.open()

    def after_worker_boot(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        log("ready")


broker = RabbitmqBroker(url=URL, confirm_delivery=True) if URL.startswith("amqp") else RedisBroker(url=URL)
broker.add_middleware(Database())
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="dramatiq-shipping")
def pack(payload: str) -> None:
    effects.pack(payload)
