"""Listening: one socket for each worker on one address, and none where another server listens already.

The first socket is bound and listens alone, so that a second server, of whatever kind, is refused by the kernel. Only
then are the others bound beside it (``SO_REUSEPORT``, Linux 3.9): the kernel spreads new connections over those that
listen. Each begins to listen when its worker takes calls and not before, so that no connection waits for a worker that
is still starting while another could answer. They belong to the supervisor, so that what waits in the queue of a worker
that died is there for the one that follows it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

from mainstay.app.refusal import Refusal

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_FIRST_INHERITED = 3  # sd_listen_fds(3)
_LISTENS = socket.SO_ACCEPTCONN
_FILTER = b"".join(
    struct.pack("HBBI", *one)
    for one in (
        (0x30, 0, 0, 13),  # load the flags of the TCP header
        (0x54, 0, 0, 0x12),  # of these, SYN and ACK
        (0x15, 0, 1, 0x02),  # is it SYN alone?
        (0x06, 0, 0, 0),  # then drop it
        (0x06, 0, 0, 0xFFFFFFFF),
    )
)
"""A classic BPF programme for what arrives at a listening socket."""


def listen(host: str, port: int, count: int = 1, *, backlog: int = 1024) -> list[socket.socket]:
    """Return ``count`` sockets of one address; port 0 takes a free one. Raises ``Refusal``.

    The first one listens; the others do when a server is started on them.
    """
    family, address = _resolve(host, port)
    first = _socket(family)
    try:
        first.bind(address)
        first.listen(backlog)
        sockets = [first]
        if count > 1:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets += [join(first) for _ in range(count - 1)]
    except OSError as error:
        first.close()
        raise _refusal(host, port, error) from None
    return sockets


def inherited(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the listening socket that whoever started this process keeps, or None (``LISTEN_FDS``, sd_listen_fds(3)).

    It outlives this process, so that the next one finds the connections that wait in its queue. Raises ``Refusal``
    where there are several, or where it is no listening TCP socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS", "0") == "0":
        return None
    if environ["LISTEN_FDS"] != "1":
        raise Refusal(f"{environ['LISTEN_FDS']} sockets were handed over (LISTEN_FDS), and one is served", "give one")
    try:
        kept = socket.socket(fileno=os.dup(_FIRST_INHERITED))
        listens = kept.getsockopt(socket.SOL_SOCKET, _LISTENS) and kept.family in (socket.AF_INET, socket.AF_INET6)
    except OSError as error:
        raise Refusal(
            f"no socket was handed over, though LISTEN_FDS says so: {os.strerror(error.errno or 0)}"
        ) from None
    if not listens:
        kept.close()
        raise Refusal("the socket that was handed over (LISTEN_FDS) does not listen for TCP", "give one that does")
    kept.setblocking(False)
    return kept


def take_no_more(listening: socket.socket) -> None:
    """Have the kernel pass over new connections to a socket, so that its queue can be emptied before it is closed.

    A connection that waits in the queue of a socket is reset when that is closed, though its client may have sent a
    request. Who asks to connect meanwhile asks again a moment later, and is refused then or answered by another
    process. Raises ``OSError`` where the system has no such filters.
    """
    held = ctypes.create_string_buffer(_FILTER, len(_FILTER))
    program = struct.pack("@HP", len(_FILTER) // 8, ctypes.addressof(held))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def take_again(listening: socket.socket) -> None:
    """Undo ``take_no_more``, where it was done: another process follows on this socket."""
    with contextlib.suppress(OSError):  # there is no filter
        listening.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def join(first: socket.socket) -> socket.socket:
    """Return one more socket of the address of ``first``, which does not listen yet. Raises ``OSError``."""
    return rejoin(first.family, first.getsockname())


def rejoin(family: int, address: Any) -> socket.socket:
    """Return a socket that shares an address with what listens there, and does not listen yet. Raises ``OSError``."""
    another = _socket(family)
    try:
        another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        another.bind(address)
    except OSError:
        another.close()
        raise
    return another


def _socket(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what lingers of a server that ended is no server
    made.setblocking(False)
    return made


def _resolve(host: str, port: int) -> tuple[int, Any]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise Refusal(f"http.host: {host} is no address of this machine", "for example 127.0.0.1 or 0.0.0.0") from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _refusal(host: str, port: int, error: OSError) -> Refusal:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        holder = _holder(port)
        return Refusal(
            f"another server listens on {where} already" + (f": {holder}" if holder else ""),
            "stop it, or take another port with --port",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refusal(
            f"this user may not listen on {where}", "ports below 1024 are the system's: take another with --port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Refusal(f"{host} is no address of this machine", "for example 127.0.0.1 or 0.0.0.0")
    return Refusal(f"cannot listen on {where}: {os.strerror(error.errno or 0)}")


def _holder(port: int) -> str:
    """Return which of this user's processes listens on a port, as well as can be seen."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                rows = [line.split() for line in lines][1:]
        except OSError:
            continue
        inodes |= {
            f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
        }
    for pid in filter(str.isdecimal, os.listdir("/proc") if inodes else ()):
        folder = f"/proc/{pid}/fd"
        try:
            if any(os.readlink(f"{folder}/{name}") in inodes for name in os.listdir(folder)):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    return f"process {pid} ({file.read().strip()})"
        except OSError:
            continue
    return ""
