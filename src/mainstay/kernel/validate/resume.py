"""Where a stream goes on: the id of the last item that a caller has, from its header or its query (HTML, 9.2)."""

from __future__ import annotations

import contextlib

from mainstay.kernel.call import Call
from mainstay.kernel.validate.parameters import Inputs, Part

LAST_EVENT_ID = "last-event-id"


def resuming(name: str, part: Part) -> Part:
    """Return what reads the query with the parameter ``name`` taken from ``Last-Event-ID`` where that is given.

    A browser that was cut off asks for the address that it began with: what its header says is newer.
    """

    def read(call: Call, inputs: Inputs) -> None:
        last = call.headers(LAST_EVENT_ID)
        if last:
            with contextlib.suppress(UnicodeError):  # it is no UTF-8, or text already
                last = last.encode("latin-1").decode("utf-8")
            call.query = [*((told, text) for told, text in call.query if told != name), (name, last)]
        part(call, inputs)

    return read
