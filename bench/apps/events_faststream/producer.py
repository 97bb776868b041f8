"""The producer: FastStream's broker beside an application that serves calls."""

import contextlib
from collections.abc import AsyncIterator

from door import Door
from links import link, prepare

broker, _, send = link()


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[None]:
    await prepare()
    await broker.connect()
    yield
    await broker.stop()


application = Door(send, opened).application
