"""What every answer carries, whatever it is: security headers, CORS, and the refusal of other hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from http_clients import Served

from mainstay.inbound.http.options import Cors, Security

ASKED: list[tuple[str, str, dict[str, str], bytes | None, int]] = [
    ("GET", "/hello", {}, None, 200),
    ("HEAD", "/hello", {}, None, 200),
    ("GET", "/hello", {"Authorization": "Bearer bad"}, None, 401),
    ("GET", "/nothing", {}, None, 404),
    ("DELETE", "/hello", {}, None, 405),
    ("OPTIONS", "/items", {}, None, 204),
    ("POST", "/items", {"Content-Type": "application/json"}, b"x" * 3000, 413),
    ("POST", "/items", {"Content-Type": "text/csv"}, b"a", 415),
    ("GET", "/items/%zz", {}, None, 400),
    ("GET", "/boom", {}, None, 500),
    ("GET", "/items/1", {"If-None-Match": "*"}, None, 304),
    ("GET", "/file", {}, None, 200),
    ("GET", "/ticker", {}, None, 200),
    ("GET", "/health", {}, None, 200),
    ("GET", "/openapi.json", {}, None, 200),
]
FIELDS = (
    "X-Content-Type-Options",
    "Content-Security-Policy",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
)
IDS = [f"{method} {target} {status}" for method, target, _, _, status in ASKED]


@pytest.mark.parametrize(("method", "target", "headers", "body", "status"), ASKED, ids=IDS)
def test_every_answer_is_guarded_once(
    door: Callable[..., Any], method: str, target: str, headers: dict[str, str], body: bytes | None, status: int
) -> None:
    answer = door(max_body_bytes=2048, security=Security(hsts_max_age=60)).ask(method, target, headers, body)
    assert answer.status == status
    assert [name for name in FIELDS if len(answer.all(name)) != 1] == []
    assert "Strict-Transport-Security" not in answer
    assert not any(answer.all("Server"))  # one server writes the field whatever it is told, and is given no value
    assert "X-Powered-By" not in answer


@pytest.mark.parametrize(("method", "target", "headers", "body", "status"), ASKED, ids=IDS)
def test_every_answer_can_be_read_by_an_allowed_origin(
    door: Callable[..., Any], method: str, target: str, headers: dict[str, str], body: bytes | None, status: int
) -> None:
    client = door(max_body_bytes=2048, cors=Cors(origins=("https://*.shop.example",)))
    answer = client.ask(method, target, {**headers, "Origin": "https://a.shop.example"}, body)
    assert (answer.status, answer["Access-Control-Allow-Origin"]) == (status, "https://a.shop.example")
    assert "Origin" in ", ".join(answer.all("Vary"))
    stranger = client.ask(method, target, {**headers, "Origin": "null"}, body)
    assert (stranger.status, stranger.all("Access-Control-Allow-Origin")) == (status, [])
    assert "Origin" in ", ".join(stranger.all("Vary"))


def test_what_the_parser_refuses_can_be_read_as_well(serve: Callable[..., Served]) -> None:
    served = serve(cors=Cors(origins=("https://shop.example",)))
    wire = served.wire()
    wire.say(b"GET /hello HTTP/1.1\r\nHost: t\r\nOrigin: https://shop.example\r\nX-A: b\r\nBad Name: x\r\n\r\n")
    answer = wire.hear()
    assert (answer.status, answer["Access-Control-Allow-Origin"]) == (400, "https://shop.example")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_proxy_that_is_listed_says_tls(door: Callable[..., Any]) -> None:
    client = door(security=Security(hsts_max_age=60), trusted_proxies=("127.0.0.0/8",))
    secure = client.ask("GET", "/hello", {"Forwarded": "for=198.51.100.9;proto=https"})
    assert secure["Strict-Transport-Security"] == "max-age=60"
    assert "Strict-Transport-Security" not in client.ask("GET", "/hello", {"Forwarded": "for=198.51.100.9"})
    missing = client.ask("GET", "/nothing", {"Forwarded": "for=198.51.100.9;proto=https"})
    assert (missing.status, missing["Strict-Transport-Security"]) == (404, "max-age=60")


@pytest.mark.parametrize("host", ["evil.example", "api.shop.example.evil.example", "127.0.0.1", "[::1]:80", "a_b:1"])
def test_another_host_is_refused_before_all_else(door: Callable[..., Any], host: str) -> None:
    client = door(hosts=("api.shop.example",))
    for method, target in (("GET", "/hello"), ("GET", "/nothing"), ("POST", "/items"), ("GET", "/openapi.json")):
        answer = client.ask(method, target, {"Host": host, "Authorization": "Bearer bad"})
        assert (answer.status, answer.json["code"]) == (421, "misdirected_request")
        assert host not in answer.body.decode()
    assert client.sample.calls == []
    assert client.ask("GET", "/hello", {"Host": "API.shop.example.:8443"}).status == 200


def test_probes_come_by_address_unless_told_otherwise(door: Callable[..., Any]) -> None:
    client = door(hosts=("api.shop.example",))
    assert [client.ask("GET", path, {"Host": "10.0.0.7"}).status for path in ("/health", "/ready")] == [200, 200]
    strict = door(hosts=("api.shop.example",), hosts_of_probes=True)
    assert strict.ask("GET", "/health", {"Host": "10.0.0.7"}).status == 421


def test_the_host_of_an_absolute_target_counts(serve: Callable[..., Served]) -> None:
    served = serve(hosts=("api.shop.example",))
    for target, host, status in (
        ("http://api.shop.example/hello", "api.shop.example", 200),
        ("http://evil.example/hello", "evil.example", 421),
    ):
        assert served.ask("GET", target, {"Host": host}).status == status
    assert served.ask("GET", "http://evil.example/hello", {"Host": "api.shop.example"}).status in (400, 421)


def test_a_host_behind_a_proxy_is_the_one_that_was_called(door: Callable[..., Any]) -> None:
    client = door(hosts=("api.shop.example",), trusted_proxies=("127.0.0.0/8",))
    called = {"Host": "inner:8000", "X-Forwarded-For": "198.51.100.9", "X-Forwarded-Host": "api.shop.example"}
    assert client.ask("GET", "/hello", called).status == 200
    assert client.ask("GET", "/hello", {**called, "X-Forwarded-Host": "evil.example"}).status == 421
