"""URLs that are called: one way to read each, or none."""

from __future__ import annotations

import pytest

from mainstay.ports.http import AddressRefused
from mainstay.ports.http_target import MAX_URL, redirected, target_of

READ = [
    ("http://a.example", "http", "a.example", 80, "/", "a.example"),
    ("HTTPS://A.Example:443/x?y=1#z", "https", "a.example", 443, "/x?y=1", "a.example"),
    ("https://a.example:8443?q", "https", "a.example", 8443, "/?q", "a.example:8443"),
    ("http://my_service:80/a%20b", "http", "my_service", 80, "/a%20b", "my_service"),
    ("http://192.0.2.1:81/", "http", "192.0.2.1", 81, "/", "192.0.2.1:81"),
    ("http://[2001:DB8:0::1]/", "http", "2001:db8::1", 80, "/", "[2001:db8::1]"),
    ("https://xn--bcher-kva.example/", "https", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example"),
    ("https://a.example/a;b=c/../d?e[0]=f", "https", "a.example", 443, "/a;b=c/../d?e[0]=f", "a.example"),
]
REFUSED = [
    *("", "a.example", "//a.example/", "/x", "http:", "http:/a.example", "http:///x", "http://", "http://:80/"),
    *("ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "data:,x", "javascript:x", "ws://a.example/"),
    *("http://user@a.example/", "http://user:password@a.example/", "http://a.example@10.0.0.1/", "http://@a.example/"),
    *("http://a.example\\@10.0.0.1/", "http://a.example#@10.0.0.1/@x y", "http://10.0.0.1\\a.example/"),
    *("http://a.example:/", "http://a.example:0/", "http://a.example:65536/", "http://a.example:999999/"),
    *("http://a.example:+80/", "http://a.example:8 0/", "http://a.example:80:80/"),
    *(
        "http://a.example/ x",
        "http://a.example/\r\nHost: b",
        "http://a.example/\0",
        "http://a\tb.example/",
        " http://a.example/",
    ),
    *(
        "http://a.example/%",
        "http://a.example/%0",
        "http://a.example/%zz",
        "http://a.example/<x>",
        "http://a.example/é",
    ),
    *(
        "http://bücher.example/",
        "http://①②⑦.0.0.1/",
        "http://a。example/",
        "http://\uff41.example/",
        "http://a%2eexample/",
    ),
    *("http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/"),
    *("http://0177.0.0.1/", "http://127.0.0.01/", "http://127.0.0.1./", "http://256.0.0.1/", "http://1.2.3.4.5/"),
    *("http://a.0x1/", "http://0x/", "http://a.example.1/", "http://127.0.0.1.0/"),
    *(
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://::1/",
        "http://[127.0.0.1]/",
        "http://[:::]/",
    ),
    *("http://a.example./", "http://a..example/", "http://.a.example/", "http://-a.example/", "http://a-.example/"),
    *(f"http://{'a' * 64}.example/", f"http://{'a.' * 127}example/", f"http://a.example/{'x' * MAX_URL}", "http://./"),
]


@pytest.mark.parametrize(("url", "scheme", "host", "port", "path", "authority"), READ)
def test_a_url_is_read_in_one_way(url: str, scheme: str, host: str, port: int, path: str, authority: str) -> None:
    target = target_of(url)
    assert (target.scheme, target.host, target.port, target.path) == (scheme, host, port, path)
    assert target.authority == authority
    assert target.url == f"{scheme}://{authority}{path}"
    assert target_of(target.url) == target
    assert target.origin.endswith(f":{port}")


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        target_of(url)
    assert url not in refused.value.detail or not url


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/y", "https://a.example/y"),
        ("y?z", "https://a.example/b/y?z"),
        ("?z", "https://a.example/b/x?z"),
        ("", "https://a.example/b/x?q"),
        ("#z", "https://a.example/b/x?q"),
        ("./y", "https://a.example/b/y"),
        ("../../y?a=/../b", "https://a.example/y?a=/../b"),
        ("/a/./c/../d/", "https://a.example/a/d/"),
        ("..", "https://a.example/"),
        ("y/.", "https://a.example/b/y/"),
        ("//b.example/y", "https://b.example/y"),
        ("https://b.example:444/y#frag", "https://b.example:444/y"),
    ],
)
def test_a_redirect_leads_on_from_where_it_was_said(location: str, url: str) -> None:
    assert redirected(target_of("https://a.example/b/x?q"), location).url == url


@pytest.mark.parametrize(
    "location",
    [
        "http://a.example/",
        "http:y",
        "ftp://a.example/",
        "https://user@a.example/",
        "/a b",
        " /a",
        "/a\n",
        "//[::1",
        "\\\\b.example",
        "é",
        "https://127.1/",
    ],
)
def test_a_redirect_is_read_as_strictly(location: str) -> None:
    with pytest.raises(AddressRefused):
        redirected(target_of("https://a.example/b/x"), location)


def test_a_redirect_may_lead_from_http_to_https() -> None:
    assert redirected(target_of("http://a.example/"), "https://a.example/").scheme == "https"
