"""Where a call comes from, for use cases that must tell callers apart before they are known."""

from __future__ import annotations

import msgspec


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's address, as limits count it (IPv6 by /64), and the id of the request.

    Calls that no protocol brought, as those of an operator at the command line, have an empty address.
    """

    address: str
    request_id: str
