"""How much input is looked at."""

from __future__ import annotations

import msgspec


class InputLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one call's input: sizes in bytes, the rest in numbers."""

    body: int = 1024 * 1024
    upload: int = 128 * 1024 * 1024
    depth: int = 64  # of JSON
    containers: int = 100_000  # objects and arrays in one body: each costs some microseconds, and two bytes to send
    faults: int = 100  # told at once
    visits: int = 5_000  # values looked at one by one to tell their faults
    parameters: int = 100  # pairs of the query string
    filters: int = 100
    sorts: int = 5
    members: int = 100  # of one [in] filter
    includes: int = 10
    search: int = 100  # characters of what is searched for
    text: int = 8192  # characters of one parameter
