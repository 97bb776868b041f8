"""The load at a fixed rate tells a stall by every request that was due in it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bench.openloop import Run, percentile, schedule

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def served(answer: bytes, *, stall_at: int = -1, stall: float = 0.0) -> Iterator[int]:
    """A server that answers one request after another, and sleeps once."""
    turn = threading.Lock()
    seen = 0

    def talk(connection: socket.socket) -> None:
        nonlocal seen
        with connection:
            while connection.recv(4096):
                with turn:
                    seen += 1
                    if seen == stall_at:
                        time.sleep(stall)
                    connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=talk, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(5)


@pytest.mark.parametrize("answer", [ANSWER, CHUNKED])
def test_every_request_is_answered_and_timed(answer: bytes) -> None:
    with served(answer) as port, Run(port, b"GET / HTTP/1.1\r\n\r\n") as run:
        run.go(schedule(200, 0.3))
        assert run.failures == 0
        assert len(run.latencies) == len(schedule(200, 0.3))


def test_a_stall_is_told_by_all_that_were_due_in_it() -> None:
    with served(ANSWER, stall_at=10, stall=0.4) as port, Run(port, b"GET / HTTP/1.1\r\n\r\n") as run:
        run.go(schedule(200, 0.6))
        assert sum(one > 0.1 for one in run.latencies) > 20  # a closed loop would have told one or a few


def test_refusals_are_failures() -> None:
    with served(REFUSAL) as port, Run(port, b"GET / HTTP/1.1\r\n\r\n") as run:
        run.go(schedule(100, 0.2))
        assert run.failures == len(run.latencies) > 0


def test_the_schedule_is_the_same_for_all_and_has_the_rate() -> None:
    moments = schedule(500, 4.0)
    assert moments == schedule(500, 4.0)
    assert 0.9 < len(moments) / 2000 < 1.1
    assert moments == sorted(moments)


def test_percentiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile([3.0], 0.99) == 3.0
