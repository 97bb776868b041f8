"""Circumstances: what policies may ask of a call beside its caller: when it is made, over what, and from where."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """When a call is decided (by the clock, once a call; of a stream, once a second), and how it came.

    ``protocol`` is the door that it came by ("rest", "event", ...), ``operation`` the name of what is called, and
    ``address`` the caller's as limits count it: IPv4 whole, IPv6 by its /64, empty where there is no wire. Headers are
    no circumstance: a caller writes into them what it likes.
    """

    at: datetime
    protocol: str = ""
    operation: str = ""
    address: str = ""
