"""Whether something has come over a connection that the loop has yet to read."""

from __future__ import annotations

import asyncio
import select


def arrived(transport: asyncio.BaseTransport) -> bool:
    """Ask the kernel. A connection closed with unread input is reset, and who sent it cannot tell whether it was read.

    A busy loop reads later than a request comes; an idle connection may be closed only where none has.
    """
    one = transport.get_extra_info("socket")
    if one is None or one.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(one.fileno(), select.POLLIN)
    return bool(poll.poll(0))
