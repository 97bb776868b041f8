"""The docs pages need no other host: what they load is their own, and the browser is told to load nothing else."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from shop_served import Client, Running, run_shop

from mainstay.deliver.docs import docs_files

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "a": "href", "base": "href", "form": "action"}
STYLED = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


class References(HTMLParser):
    """Collects what a page refers to, and the scripts that stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "script" and not named.get("src"):
            self.inline += 1
        self.inline += sum(name.startswith("on") or name == "style" for name in named)
        reference = named.get(LOADED.get(tag, ""))
        if reference:
            self.found.append(reference)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = run_shop(Path(tmp_path_factory.mktemp("shop")), store="memory")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(shop: Running) -> Client:
    return shop.socket_client()


def test_all_that_a_page_refers_to_is_served_beside_it(client: Client) -> None:
    page = client.get("/docs")
    assert (page.status, page["content-type"]) == (200, "text/html; charset=utf-8")
    read = References()
    read.feed(page.body.decode())
    assert read.inline == 0
    own = [one for one in read.found if not one.startswith("data:")]
    assert len(own) == 5
    for reference in own:
        place = urljoin("http://test/docs", reference)
        assert urlsplit(place).netloc == "test", reference
        answer = client.get(urlsplit(place).path)
        assert answer.status == 200, reference
        assert answer["x-content-type-options"] == "nosniff"


def test_style_loads_nothing_of_others(client: Client) -> None:
    style = gzip.decompress(client.get("/docs/swagger-ui.css").body).decode()
    found = [one or other for one, other in STYLED.findall(style)]
    assert found
    assert [one for one in found if not one.startswith(("data:", "#"))] == []


def test_the_start_script_asks_its_own_host_only(client: Client) -> None:
    start = client.get("/docs/start.js").body.decode()
    assert "http" not in start
    assert "validatorUrl: null" in start
    assert "new URL(contract, document.baseURI)" in start
    assert 'show("openapi.json")' in start


def test_the_browser_is_told_to_load_nothing_of_others(client: Client) -> None:
    policy = dict(part.strip().split(" ", 1) for part in client.get("/docs")["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    for name in ("script-src", "connect-src"):
        assert policy[name] == "'self'"
    assert all("http" not in sources and "*" not in sources for sources in policy.values())
    assert policy["frame-ancestors"] == "'none'"


def test_pages_are_the_same_bytes_each_time_and_may_be_kept(client: Client) -> None:
    assert docs_files("Tea") == docs_files("Tea")
    for path in ("/docs", "/docs/swagger-ui-bundle.js", "/openapi.json"):
        first = client.get(path)
        again = client.get(path, If_None_Match=first["etag"])
        assert (again.status, again.body) == (304, b"")


def test_a_title_is_text_in_the_page() -> None:
    (page, *_) = docs_files("<script>alert(1)</script>")
    assert b"<script>alert" not in page.body
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;: API" in page.body
