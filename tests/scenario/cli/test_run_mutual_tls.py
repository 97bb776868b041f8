"""Mutual TLS of a served process: who is let in, as whom, and new files without a restart, by all workers."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Pair, make_pair
from client_certificates import Authority, context_of, spiffe
from cryptography import x509

SERVICE = '''"""Machines that call each other."""
from mainstay import Module, Principal, Service, anyone, authenticated, certificate

machines = Module("machines")


@machines.query("GET /who", allow=anyone)
async def who(who: Principal) -> dict[str, str]:
    return {"subject": who.subject, "certificate": who.certificate or ""}


@machines.query("GET /billing", allow=certificate("spiffe://shop.example/billing"))
async def billing() -> str:
    return "bills"


@machines.query("GET /known", allow=authenticated)
async def known() -> str:
    return "known"


team = Service("team", modules=[machines])
'''


@pytest.fixture
def world(project: Path) -> Authority:
    (project / "team_service.py").write_text(SERVICE)
    return Authority(project)


def settings(pair: Pair, **more: str) -> dict[str, str]:
    given = {"CERTIFICATE": str(pair.certificate), "KEY": str(pair.key), "WATCH_SECONDS": "0.2", **more}
    return {f"MAINSTAY_HTTP_TLS_{name}": value for name, value in given.items()}


@contextlib.contextmanager
def connected(url: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    port = int(url.rpartition(":")[2])
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        yield secure


def asked(secure: ssl.SSLSocket, path: str) -> tuple[int, Any]:
    secure.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
        part = secure.recv(65536)
        assert part, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)


def answer(url: str, context: ssl.SSLContext, path: str) -> tuple[int, Any]:
    with connected(url, context) as secure:
        return asked(secure, path)


def refused(url: str, context: ssl.SSLContext) -> bool:
    try:
        answer(url, context, "/who")
    except (ssl.SSLError, ConnectionError, AssertionError):
        return True
    return False


def test_who_has_no_certificate_of_the_authority_is_not_let_in(run: Any, project: Path, world: Authority) -> None:
    pair = make_pair(project)
    more = {"CLIENT_CERTIFICATES": "required", "CLIENT_CA": str(world.certificate)}
    url = run(**settings(pair, **more)).facts()["url"]
    billing = context_of(pair.certificate, world.issue("billing", spiffe("/billing")))
    name = "spiffe://shop.example/billing"
    assert answer(url, billing, "/who") == (200, {"subject": "anonymous", "certificate": name})
    assert answer(url, billing, "/billing") == (200, "bills")
    assert answer(url, billing, "/known")[0] == 401  # a certificate is no log-in, unless that is set
    stranger = Authority(project, "others").issue("stranger", spiffe("/billing"))
    expired = world.issue("expired", spiffe("/billing"), days=-1)
    for client in (None, stranger, expired, make_pair(project, "self")):
        assert refused(url, context_of(pair.certificate, client))


def test_a_certificate_may_be_left_out_and_may_be_enough(run: Any, project: Path, world: Authority) -> None:
    pair = make_pair(project)
    more = {"CLIENT_CERTIFICATES": "optional", "CLIENT_CA": str(world.certificate), "CLIENT_PRINCIPAL": "true"}
    url = run(**settings(pair, CLIENT_IDENTITY="dns", **more)).facts()["url"]
    till = context_of(pair.certificate, world.issue("till", x509.DNSName("till.shop.internal"), spiffe("/billing")))
    told = {"subject": "till.shop.internal", "certificate": "till.shop.internal"}
    assert answer(url, till, "/who") == (200, told)
    assert answer(url, till, "/known") == (200, "known")
    assert answer(url, till, "/billing")[0] == 403
    without = context_of(pair.certificate, None)
    assert answer(url, without, "/who") == (200, {"subject": "anonymous", "certificate": ""})
    assert answer(url, without, "/billing")[0] == 401
    with connected(url, till) as secure:  # each call of a connection is its client's
        assert [asked(secure, "/known")[0] for _ in range(3)] == [200] * 3
    assert refused(url, context_of(pair.certificate, make_pair(project, "self")))


def test_all_workers_take_new_files_and_connections_live_on(
    run: Any, project: Path, world: Authority, waiting: Callable[..., Any]
) -> None:
    first, second = make_pair(project, "first"), make_pair(project, "second")
    used = Pair(project / "used.crt", project / "used.key")
    for old, new in zip(first, used, strict=True):
        shutil.copy(old, new)
    revoked = world.revoke(project / "revoked.pem", [])
    more = {"CLIENT_CERTIFICATES": "required", "CLIENT_CA": str(world.certificate), "CLIENT_CRL": str(revoked)}
    service = run("--workers", "2", **settings(used, **more))
    url = service.facts()["url"]
    client = world.issue("till", spiffe("/till"))
    with connected(url, context_of(first.certificate, client)) as kept:
        assert asked(kept, "/who")[0] == 200
        for old, new in zip(second, used, strict=True):
            shutil.copy(old, new)
        waiting(lambda: service.said().count('"certificate_taken"') == 2)
        assert all(answer(url, context_of(second.certificate, client), "/who")[0] == 200 for _ in range(8))
        shutil.copy(first.key, used.key)
        waiting(lambda: service.said().count('"certificate_refused"') == 2)
        assert "is not that of the certificate" in service.said()
        assert answer(url, context_of(second.certificate, client), "/who")[0] == 200
        shutil.copy(second.key, used.key)
        world.revoke(revoked, ["till"])
        waiting(lambda: service.said().count('"certificate_taken"') == 4)
        assert all(refused(url, context_of(second.certificate, client)) for _ in range(8))
        assert asked(kept, "/who")[0] == 200
    assert "Traceback" not in service.said()


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_other_servers_refuse_it_by_name(
    project: Path, world: Authority, mainstay: Callable[..., Any], server: str
) -> None:
    more = {"CLIENT_CERTIFICATES": "required", "CLIENT_CA": str(world.certificate)}
    ended = mainstay("run", "--server", server, **settings(make_pair(project), **more))
    assert ended.returncode == 1
    assert "http.tls.client_certificates (MAINSTAY_HTTP_TLS_CLIENT_CERTIFICATES)" in ended.stderr
    assert f"{server} tells nobody whose they are" in ended.stderr
