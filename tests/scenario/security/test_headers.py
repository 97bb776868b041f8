"""What browsers are told with every answer of the served shop: OWASP ASVS 5.0, chapter V3, and its Secure Headers."""

from __future__ import annotations

import pytest
from http_clients import Answered, Mounted
from http_sample import Sample
from shop_served import Client, Running
from two_people import ANN

from mainstay.inbound.http.options import Cors, HttpOptions

NO_ROW = "/orders/0199c0de-0000-7000-8000-000000000001"
ASKED: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", "/products", {}, 200),
    ("HEAD", "/products", {}, 200),
    ("GET", "/orders", {}, 401),
    ("GET", "/orders", {"Authorization": "Basic YTpi"}, 401),
    ("GET", NO_ROW, {"Authorization": "ann"}, 404),
    ("GET", "/nothing", {}, 404),
    ("DELETE", "/products", {}, 405),
    ("TRACE", "/products", {}, 405),
    ("OPTIONS", "/products", {}, 204),
    ("POST", "/orders", {"Authorization": "ann", "Content-Type": "text/html"}, 415),
    ("GET", "/products?x=1", {}, 400),
    ("GET", "/%zz", {}, 400),
    ("GET", "/products", {"If-Match": "none"}, 400),
    ("GET", "/docs", {}, 200),
    ("GET", "/openapi.json", {}, 200),
    ("GET", "/health", {}, 200),
    ("GET", "/ready", {}, 200),
]
IDS = [f"{method} {target} {status}" for method, target, _, status in ASKED]
BANNERS = ("server", "x-powered-by", "x-aspnet-version", "x-runtime", "via", "x-generator")


def told(answer: Answered, name: str) -> str:
    values = answer.all(name)
    assert len(values) == 1, f"{name}: {values}"
    return values[0]


def policy_of(answer: Answered) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in told(answer, "Content-Security-Policy").split(";")]
    assert len({name for name, _, _ in parts}) == len(parts)
    return {name: value for name, _, value in parts}


@pytest.fixture(scope="module", params=["socket", "asgi", "uvicorn", "granian"])
def browser(request: pytest.FixtureRequest, shop: Running) -> Client:
    if request.param == "asgi":
        return shop.asgi_client()
    return shop.socket_client() if request.param == "socket" else shop.other_client(request.param)


@pytest.fixture(scope="module")
def answers(browser: Client, shop: Running) -> dict[str, Answered]:
    found = {}
    for name, (method, target, headers, status) in zip(IDS, ASKED, strict=True):
        who = ANN if headers.get("Authorization") == "ann" else None
        fields = {name: value for name, value in headers.items() if value != "ann"}
        body = b"x" if method == "POST" else None
        found[name] = browser.ask(method, target, who, body, fields)
        assert found[name].status == status, (name, found[name].body)
    return found


@pytest.mark.parametrize("name", IDS)
def test_nothing_is_sniffed_framed_referred_or_embedded(answers: dict[str, Answered], name: str) -> None:
    answer = answers[name]
    assert told(answer, "X-Content-Type-Options") == "nosniff"
    assert told(answer, "X-Frame-Options") == "DENY"
    assert told(answer, "Referrer-Policy") == "no-referrer"
    assert told(answer, "Cross-Origin-Opener-Policy") == "same-origin"
    assert told(answer, "Cross-Origin-Resource-Policy") == "same-origin"


@pytest.mark.parametrize("name", IDS)
def test_a_policy_of_contents_lets_nothing_in_from_elsewhere(answers: dict[str, Answered], name: str) -> None:
    policy = policy_of(answers[name])
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["default-src"] == "'none'"
    assert policy.get("object-src", policy["default-src"]) == "'none'"
    scripts = policy.get("script-src", policy["default-src"])
    assert scripts in ("'none'", "'self'")
    for directive, sources in policy.items():
        assert "*" not in sources, directive
        assert "http" not in sources, directive
        assert directive == "style-src" or "unsafe" not in sources, directive


@pytest.mark.parametrize("name", IDS)
def test_no_banner_names_what_serves(answers: dict[str, Answered], name: str) -> None:
    answer = answers[name]
    for banner in BANNERS:
        assert not any(answer.all(banner))  # granian writes an empty Server field
    body = answer.body.decode().lower() if answer.status >= 400 else ""
    assert not [word for word in ("mainstay", "uvicorn", "granian", "python", "traceback", "hyper") if word in body]


@pytest.mark.parametrize("name", IDS)
def test_a_body_has_a_type_and_no_answer_is_kept_that_was_not_declared(answers: dict[str, Answered], name: str) -> None:
    answer = answers[name]
    if answer.body:
        kind = told(answer, "Content-Type")
        assert kind.split(";")[0] in ("application/json", "application/problem+json", "text/html")
        assert "charset=utf-8" in kind or not kind.startswith("text/")
    if answer.status >= 400:
        assert told(answer, "Cache-Control") == "no-store"


def test_what_is_read_with_a_token_is_for_no_shared_cache(browser: Client) -> None:
    for target in ("/orders", "/letters", "/customers"):
        answer = browser.get(target, ANN)
        assert answer.status == 200
        assert "no-store" in told(answer, "Cache-Control") or "private" in told(answer, "Cache-Control")


BROKEN = [
    b"NONSENSE\r\n\r\n",
    b"GET /products HTTP/1.1\r\nBad Name: x\r\nHost: t\r\n\r\n",
    b"GET /products HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    b"GET /products HTTP/1.1\r\nHost: t\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
]


@pytest.mark.parametrize("sent", BROKEN, ids=["nonsense", "name", "smuggled", "long", "many"])
def test_what_the_parser_refuses_is_guarded_as_well(shop: Running, sent: bytes) -> None:
    wire = shop.wire()
    wire.say(sent)
    answer = wire.hear()
    assert answer.status in (400, 414, 431)
    assert told(answer, "X-Content-Type-Options") == "nosniff"
    assert policy_of(answer)["default-src"] == "'none'"
    assert not any(answer.all(banner) for banner in BANNERS)


ORIGINS = [
    "https://evil.example",
    "https://shop.example.evil.example",
    "https://evilshop.example",
    "https://shop.example:444",
    "https://shop.example/",
    "https://shop.example.",
    "http://shop.example",
    "HTTPS://SHOP.EXAMPLE",
    "https://a.b.shop.example",
    "https://.shop.example",
    "https://shop.example@evil.example",
    "https://a_b.shop.example",
    "null",
    "*",
    "",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_origin_is_reflected_that_is_not_listed(origin: str) -> None:
    cors = Cors(origins=("https://shop.example", "https://*.shop.example"), credentials=True)
    door = Mounted(Sample(), HttpOptions(cors=cors))
    for method, more in (("GET", {}), ("OPTIONS", {"Access-Control-Request-Method": "GET"})):
        answer = door.ask(method, "/hello", {"Origin": origin, **more})
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]
        assert "Origin" in ", ".join(answer.all("Vary"))
    listed = door.ask("GET", "/hello", {"Origin": "https://shop.example"})
    assert listed["Access-Control-Allow-Origin"] == "https://shop.example"
    assert listed["Access-Control-Allow-Credentials"] == "true"
