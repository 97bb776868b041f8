"""Open files: a connection is one, and a process that has none left can open no database either."""

from __future__ import annotations

import resource

RESERVED = 256
"""What a process needs for all else: databases, logs, connections of its own to others."""


def room_for(connections: int) -> int:
    """Let the process have as many open files as so many connections need, as far as the system lets it.

    Returns how many connections there is room for: fewer than were asked for where the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    return max(1, soft - RESERVED)
