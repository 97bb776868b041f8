"""An answer in parts on its way over HTTP/1.1: head, framing and parts, no faster than the client takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mainstay.inbound.http.door import Door
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.sendfile import FileSender
from mainstay.inbound.http.sending import Parts, opened
from mainstay.inbound.http.wire import CHUNKED, CLOSE, beginning, length_line, whole


def sender_of(
    protocol: asyncio.Protocol,
    transport: Any,
    loop: asyncio.AbstractEventLoop,
    behind: Callable[[], asyncio.Future[None] | None],
) -> FileSender | None:
    """Return what sends files by the system's own means; over TLS there is none."""
    if transport is None or transport.get_extra_info("sslcontext") is not None:
        return None
    return FileSender(transport, loop, behind, protocol.pause_writing, protocol.resume_writing)


async def send_parted(
    door: Door,
    exchange: Exchange,
    answer: Answer,
    connection: bytes,
    *,
    date: bytes,
    write: Callable[[bytes], None],
    behind: Callable[[], asyncio.Future[None] | None],
    sender: FileSender | None,
) -> None:
    """Send an answer. ``connection`` is its header line; an answer of unknown length ends a connection of HTTP/1.0.

    What is raised while it is on its way leaves it in pieces: the connection must end then.
    """
    try:
        answer = await opened(answer)
    except OSError as error:
        answer = door.failed(exchange, error)
    if not answer.parted:
        write(whole(answer, exchange.method, date, connection))
        return
    parts = Parts(answer)
    try:
        chunked = parts.length is None and not exchange.http10
        framing = CHUNKED if chunked else b"" if parts.length is None else length_line(parts.length)
        if parts.length is None and exchange.http10:
            exchange.closing, connection = True, CLOSE
        write(beginning(answer, framing, date, connection))
        if exchange.method != b"HEAD":
            await parts.send(write, behind, chunked=chunked, send_file=sender)
    finally:
        await parts.close()
