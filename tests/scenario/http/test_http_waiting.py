"""Time: deadlines, clients that leave or do not listen, time-outs, and the end of the server."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from http_clients import Served
from http_sample import Sample

Serve = Callable[..., Served]

GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
LONG = b"GET /file?c=%b HTTP/1.1\r\nHost: t\r\n\r\n" % (b"x" * 7999 + b"!")  # its answer is as long
POST = b"POST /items HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"


def eventually(check: Callable[[], Any], seconds: float = 4.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.005)


def test_a_query_over_its_deadline_is_cancelled(serve: Serve, sample: Sample) -> None:
    answer = serve().ask("GET", "/slow")
    assert (answer.status, answer.json["code"]) == (504, "deadline_exceeded")
    assert sample.cancelled == ["m.slow"]


def test_a_client_that_leaves_cancels_a_query(serve: Serve, sample: Sample) -> None:
    served = serve()
    wire = served.wire()
    wire.say(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: sample.calls)
    started = time.monotonic()
    wire.close()
    eventually(lambda: sample.cancelled == ["m.slow"])
    assert time.monotonic() - started < 0.15
    eventually(lambda: served.server.connections == 0)


def test_a_client_that_leaves_does_not_cancel_a_command(serve: Serve, sample: Sample) -> None:
    served = serve()
    wire = served.wire()
    wire.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: sample.calls)
    wire.close()
    time.sleep(0.1)
    sample.gate.set()
    eventually(lambda: sample.recorder.seen)
    assert (sample.cancelled, sample.recorder.seen[0].kind) == ([], None)
    eventually(lambda: served.server.connections == 0)


def test_a_client_that_leaves_in_a_body_ends_the_call(serve: Serve, sample: Sample) -> None:
    served = serve()
    wire = served.wire()
    wire.say(POST + b"Content-Length: 12\r\n\r\n{")
    eventually(lambda: sample.calls)
    wire.close()
    eventually(lambda: sample.recorder.seen)
    assert sample.recorder.seen[0].code == "request_malformed"
    eventually(lambda: served.server.connections == 0)


def test_a_client_that_leaves_ends_a_stream(serve: Serve, sample: Sample) -> None:
    served = serve()
    wire = served.wire()
    wire.say(b"GET /ticker?end=never HTTP/1.1\r\nHost: t\r\n\r\n")
    wire.socket.recv(1000)
    wire.close()
    eventually(lambda: sample.streams_closed == 1)
    eventually(lambda: served.server.connections == 0)


def test_a_stream_waits_for_a_client_that_is_behind_and_then_gives_up(serve: Serve, sample: Sample) -> None:
    served = serve(write_timeout=1.0)
    wire = served.wire()
    wire.say(b"GET /ticker?end=never HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: sample.calls)
    eventually(lambda: sample.streams_closed == 1, 6.0)
    eventually(lambda: served.server.connections == 0)


def test_a_stream_that_breaks_is_not_taken_for_whole(serve: Serve, sample: Sample) -> None:
    served = serve()
    wire = served.wire()
    wire.say(b"GET /ticker?n=1&end=broken HTTP/1.1\r\nHost: t\r\n\r\n")
    with pytest.raises((EOFError, ConnectionResetError)):
        wire.hear()
    eventually(lambda: any(getattr(one, "event", "") == "stream_broken" for one in sample.recorder.seen))


def test_a_client_that_does_not_read_its_answers_is_not_served_on(serve: Serve, sample: Sample) -> None:
    wire = serve().wire()
    wire.socket.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += wire.socket.send(LONG * 10)
    assert len(sample.calls) < sent // len(LONG)
    wire.socket.settimeout(5)
    assert wire.count(b"x!", sent // len(LONG))


def test_a_head_that_does_not_end_times_out(serve: Serve) -> None:
    served = serve(header_timeout=0.5, keep_alive_timeout=30)
    wire = served.wire()
    wire.say(GET)
    assert wire.hear().status == 200
    wire.say(GET[:20])
    answer = wire.hear()
    assert (answer.status, answer.json["code"], answer["Connection"]) == (408, "read_timeout", "close")


def test_a_body_that_does_not_come_times_out(serve: Serve) -> None:
    wire = serve(body_timeout=0.5).wire()
    wire.say(POST + b"Content-Length: 12\r\n\r\n{")
    answer = wire.hear()
    assert (answer.status, answer["Connection"]) == (408, "close")


def test_an_idle_connection_is_closed(serve: Serve) -> None:
    wire = serve(keep_alive_timeout=0.5).wire()
    wire.say(GET)
    assert wire.hear().status == 200
    assert wire.rest() == b""


def test_the_server_ends_without_failing_a_request(serve: Serve, sample: Sample) -> None:
    served = serve(drain_delay=0.3)
    idle, busy = served.wire(), served.wire()
    idle.say(GET)
    assert idle.hear().status == 200
    busy.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: len(sample.calls) == 2)
    served.begin_stop()
    eventually(lambda: served.door.draining)
    assert served.ask("GET", "/ready").status == 503
    idle.say(GET)
    answer = idle.hear()
    assert (answer.status, answer["Connection"]) == (200, "close")  # who comes back may find another process
    assert idle.rest() == b""
    eventually(lambda: refuses(served.address))
    sample.gate.set()
    answer = busy.hear()
    assert (answer.status, answer["Connection"]) == (200, "close")
    assert served.stop() is True


def refuses(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == errno.ECONNREFUSED


def test_what_does_not_end_in_time_is_cut_off(serve: Serve, sample: Sample) -> None:
    served = serve(drain_timeout=0.2)
    wire = served.wire()
    wire.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: sample.calls)
    served.begin_stop()
    with pytest.raises((EOFError, ConnectionResetError)):
        wire.hear()
    sample.gate.set()
    assert served.stop() is False


def test_no_request_is_lost_while_the_server_stops_under_load(serve: Serve) -> None:
    served = serve(drain_delay=0.2)
    done: list[int] = []
    failed: list[BaseException] = []

    def client() -> None:
        wire = served.wire()
        try:
            while True:
                wire.say(GET)
                answer = wire.hear()
                done.append(answer.status)
                if answer.all("connection") == ["close"]:
                    return
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(done) > 100)
    served.begin_stop()
    for thread in threads:
        thread.join(5)
    assert set(done) == {200}
    assert not failed
