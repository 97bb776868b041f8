"""What the kernel has and the loop has not."""

from __future__ import annotations

import asyncio
import socket

from mainstay.inbound.http.arrived import arrived


async def test_input_is_seen_before_the_loop_has_read_it() -> None:
    ours, theirs = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    assert not arrived(transport)
    theirs.send(b"GET")
    assert arrived(transport)  # nothing was awaited meanwhile
    await asyncio.sleep(0.01)
    assert not arrived(transport)
    transport.close()
    theirs.close()
    await asyncio.sleep(0)
    assert not arrived(transport)


def test_a_transport_without_a_socket_has_nothing() -> None:
    assert not arrived(asyncio.BaseTransport())
