"""One address for all workers of a service, and for no other server."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterator

import pytest

from mainstay.app import sockets
from mainstay.app.refusal import Refusal
from mainstay.app.sockets import inherited, listen, rejoin, take_again, take_no_more


@contextlib.contextmanager
def closing(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def port_of(one: socket.socket) -> int:
    port: int = one.getsockname()[1]
    return port


def test_a_free_port_is_taken_for_port_0() -> None:
    with closing(listen("127.0.0.1", 0)) as (one,):
        assert port_of(one) > 0


def shares(*listening: socket.socket) -> list[int]:
    """How many of 150 new connections each socket gets; these must get them all."""
    taken = dict.fromkeys(listening, 0)
    for _ in range(150):
        with socket.create_connection(("127.0.0.1", port_of(listening[0]))):
            (ready, *_), _, _ = select.select(listening, [], [], 5)
            ready.accept()[0].close()
            taken[ready] += 1
    return list(taken.values())


def test_new_connections_are_spread_over_all_workers_that_have_started() -> None:
    with closing(listen("127.0.0.1", 0, 3)) as sockets:
        assert len({port_of(one) for one in sockets}) == 1
        first, second, third = sockets
        assert shares(first) == [150]
        third.listen()
        assert min(shares(first, third)) > 10
        second.listen()
        assert min(shares(first, second, third)) > 10


@pytest.mark.parametrize("count", [1, 2])
def test_a_second_server_is_refused_with_the_name_of_the_first(count: int) -> None:
    with closing(listen("127.0.0.1", 0, count)) as sockets:
        for second in (1, 2):
            with pytest.raises(Refusal, match="another server listens on") as refused:
                listen("127.0.0.1", port_of(sockets[0]), second)
            assert f"process {os.getpid()}" in refused.value.message
            assert "--port" in refused.value.remedies[0]


def test_the_next_server_starts_at_once_though_connections_linger() -> None:
    with closing(listen("127.0.0.1", 0)) as (one,):
        port = port_of(one)
        client = socket.create_connection(("127.0.0.1", port))
        select.select([one], [], [], 5)
        accepted, _ = one.accept()
        accepted.close()  # the server closes first: its end stays in TIME_WAIT
        client.close()
    with closing(listen("127.0.0.1", port, 2)):
        pass


def test_a_worker_joins_again_where_others_listen() -> None:
    with closing(listen("127.0.0.1", 0, 2)) as sockets:
        family, address = sockets[1].family, sockets[1].getsockname()
        sockets[1].close()
        sockets[1] = rejoin(family, address)
        assert sockets[1].getsockname() == address


@pytest.mark.parametrize("host", ["192.0.2.7", "999.1.1.1"])
def test_an_address_that_is_not_ours_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        if host.startswith("999"):
            raise socket.gaierror("no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(Refusal, match="no address of this machine"):
        listen(host, 0)


def test_what_waits_is_taken_though_nothing_more_is_let_in() -> None:
    with closing(listen("127.0.0.1", 0)) as (one,):
        waiting = socket.create_connection(("127.0.0.1", port_of(one)))
        waiting.send(b"a request")
        take_no_more(one)
        late = socket.socket()
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(("127.0.0.1", port_of(one)))
        accepted, _ = one.accept()
        assert accepted.recv(100) == b"a request"
        with pytest.raises(BlockingIOError):
            one.accept()
        take_again(one)
        take_again(one)
        with socket.create_connection(("127.0.0.1", port_of(one))):
            pass
        for each in (waiting, accepted, late):
            each.close()


def test_a_socket_that_somebody_keeps_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    with socket.create_server(("127.0.0.1", 0)) as keeper:
        monkeypatch.setattr(sockets, "_FIRST_INHERITED", keeper.fileno())
        taken = inherited(environ)
        assert taken is not None
        with taken:
            assert taken.getsockname() == keeper.getsockname()
            assert taken.fileno() != keeper.fileno()
            assert not taken.getblocking()
    assert inherited({}) is None
    assert inherited({**environ, "LISTEN_PID": "1"}) is None  # meant for another process


def test_what_is_no_listening_socket_is_refused_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    with socket.socket() as silent:
        monkeypatch.setattr(sockets, "_FIRST_INHERITED", silent.fileno())
        with pytest.raises(Refusal, match="does not listen for TCP"):
            inherited(environ)
    monkeypatch.setattr(sockets, "_FIRST_INHERITED", 1_000_000)
    with pytest.raises(Refusal, match="no socket was handed over"):
        inherited(environ)
    with pytest.raises(Refusal, match="2 sockets were handed over"):
        inherited({**environ, "LISTEN_FDS": "2"})
