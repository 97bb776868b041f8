"""The consumer: one effect for each event."""

from effects import Effects
from faststream import FastStream
from links import link, prepare
from shared import OrderPlaced, log

broker, subscriber, _ = link()
effects = Effects()
app = FastStream(broker, logger=None)


@app.on_startup
async def opened() -> None:
    await prepare()
    await effects.open()


@app.after_startup
async def ready() -> None:
    log("ready")


@app.after_shutdown
async def closed() -> None:
    await effects.close()


@subscriber
async def pack(event: OrderPlaced) -> None:
    await effects.pack(event)
