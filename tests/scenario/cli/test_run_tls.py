"""TLS by each server: the newest version, no plain HTTP on its port, new certificates without a gap."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Pair, make_pair

SERVERS = ("native", "granian", "uvicorn")


def settings(pair: Pair, **more: str) -> dict[str, str]:
    given = {"CERTIFICATE": str(pair.certificate), "KEY": str(pair.key), **more}
    return {f"MAINSTAY_HTTP_TLS_{name}": value for name, value in given.items()}


def client(pair: Pair) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=pair.certificate)
    made.set_alpn_protocols(["http/1.1"])
    return made


@contextlib.contextmanager
def connected(url: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    port = int(url.rpartition(":")[2])
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        yield secure


def takes(url: str, pair: Pair) -> bool:
    """Whether who comes now meets this certificate, and is answered."""
    try:
        with connected(url, client(pair)) as secure:
            return ask(secure) == (b"200", b"1")
    except ssl.SSLCertVerificationError:
        return False


def ask(secure: socket.socket, path: str = "/version") -> tuple[bytes, bytes]:
    secure.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
        part = secure.recv(4096)
        assert part, data
        data += part
    top, _, body = data.partition(b"\r\n\r\n")
    return top[9:12], body


@pytest.mark.parametrize("server", SERVERS)
def test_tls_is_spoken_from_its_newest_version_on(run: Any, project: Path, server: str) -> None:
    pair = make_pair(project)
    service = run("--server", server, **settings(pair, HANDSHAKE_SECONDS="1"))
    url = service.facts()["url"]
    assert url.startswith("https://127.0.0.1:")
    with connected(url, client(pair)) as secure:
        assert (secure.version(), secure.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        assert ask(secure) == (b"200", b"1")
        assert ask(secure) == (b"200", b"1")
    old = client(pair)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), connected(url, old):
        pass
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as plain:
        plain.sendall(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"HTTP/1.1 200" not in answered(plain)
    if server != "granian":  # it knows no bound on the time of a handshake
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as silent:
            assert silent.recv(1) == b""
    service.process.send_signal(signal.SIGTERM)
    assert service.wait() == 0
    assert "Traceback" not in service.said()
    assert all(
        json.loads(line)["event"] in ("call", "http_server")
        for line in service.said().splitlines()
        if line.startswith('{"')
    )


def answered(plain: socket.socket) -> bytes:
    """What came before the server closed the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := plain.recv(4096):
            data += part
    return data


@pytest.mark.parametrize("server", SERVERS)
def test_an_older_version_is_spoken_where_settings_say_so_and_a_locked_key_is_opened(
    run: Any, project: Path, server: str
) -> None:
    pair = make_pair(project, password="correct horse battery")
    service = run("--server", server, **settings(pair, MINIMUM="1.2", KEY_PASSWORD="correct horse battery"))
    old = client(pair)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with connected(service.facts()["url"], old) as secure:
        assert secure.version() == "TLSv1.2"
        assert ask(secure) == (b"200", b"1")
    assert "horse" not in service.said()


@pytest.mark.parametrize("server", SERVERS)
def test_a_new_certificate_is_taken_at_sighup_and_no_connection_is_dropped(
    run: Any, project: Path, waiting: Callable[..., Any], server: str
) -> None:
    first, second = make_pair(project, "first"), make_pair(project, "second")
    used = Pair(project / "used.crt", project / "used.key")
    for old, new in zip(first, used, strict=True):
        shutil.copy(old, new)
    service = run("--workers", "2", "--server", server, MAINSTAY_HTTP_DRAIN_SECONDS="16", **settings(used))
    url = service.facts()["url"]
    with connected(url, client(first)) as kept:
        assert ask(kept) == (b"200", b"1")
        for old, new in zip(second, used, strict=True):
            shutil.copy(old, new)
        service.process.send_signal(signal.SIGHUP)
        waiting(lambda: '"restarted"' in service.said())
        waiting(lambda: takes(url, second))  # who has been followed may still take one that came before
        assert ask(kept) == (b"200", b"1")
    shutil.copy(first.key, used.key)  # not that of the certificate
    service.process.send_signal(signal.SIGHUP)
    waiting(lambda: '"restart_failed"' in service.said())
    assert "is not that of the certificate" in service.said()
    with connected(url, client(second)) as still:
        assert ask(still) == (b"200", b"1")


def test_what_is_wrong_is_told_at_the_start(project: Path, mainstay: Callable[..., Any]) -> None:
    pair = make_pair(project, days=(-9, -1))
    ended = mainstay("run", **settings(pair))
    assert ended.returncode == 1
    assert "http.tls.certificate (MAINSTAY_HTTP_TLS_CERTIFICATE)" in ended.stderr
    assert "the certificate expired on" in ended.stderr
    assert "Traceback" not in ended.stderr
