"""Targets of redirects: a list decides, and no spelling leads elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.model.redirects import RedirectRefused, RedirectTargets

APP = "https://app.shop.example"
TARGETS = RedirectTargets([APP, "http://localhost:3000", "https://[2001:db8::1]"], exact=["com.shop.app:/done"])


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/orders",
        "/orders/1?tab=2#top",
        "/a//b",
        "/?next=https://evil.example",
        "/@evil.example",
        "/...",
        "/a/..b/.c",
        "/?a=../..",
        APP,
        f"{APP}/",
        f"{APP}/done?code=1&next=//evil.example",
        "http://localhost:3000/cb",
        "https://[2001:db8::1]/cb",
        "com.shop.app:/done",
    ],
)
def test_what_is_listed_is_allowed(target: str) -> None:
    assert TARGETS.check(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "orders",
        "?next=/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nLocation: https://evil.example",
        "\t//evil.example",
        " //evil.example",
        "/ /evil.example",
        "/\x00",
        "/\u2028/evil.example",
        "/\u00e9",
        "/a/../b",
        "/..",
        "/%2e%2e/admin",
        "/.%2E/admin",
        "/./admin",
        "http:evil.example",
        "https:/evil.example",
        "https:evil.example",
        "https:\\\\evil.example",
        "https://evil.example",
        f"{APP}.evil.example/",
        f"{APP}@evil.example/",
        f"{APP}:443/",
        f"{APP}:/",
        f"{APP}\\@evil.example",
        f"{APP}/\\evil",
        f"{APP}/../x",
        f"{APP}?x=1",
        f"{APP}#x",
        f"https://user@{APP.removeprefix('https://')}/",
        f"https://evil.example\\@{APP.removeprefix('https://')}/",
        f"https://evil.example#@{APP.removeprefix('https://')}/",
        f"https://evil.example?{APP}",
        "https://evil.example/https://app.shop.example",
        APP.upper(),
        APP.replace("https", "http"),
        APP.replace("https", "HTTPS"),
        "https://app.shop.example.",
        "https://app\u3002shop.example",
        "https://\uff41pp.shop.example",
        "https://app%2eshop.example",
        "https://sub.app.shop.example",
        "https://shop.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "ftp://app.shop.example/",
        "com.shop.app:/done/",
        "com.shop.app:/doneX",
        "com.shop.app:/",
        "/" + "a" * 2048,
    ],
)
def test_no_other_place_and_no_trick(target: str) -> None:
    with pytest.raises(RedirectRefused) as refused:
        TARGETS.check(target)
    assert target.strip() == "" or target not in str(refused.value)


@given(st.text(alphabet="/\\.:@?#%2eE\t\n ahtps[]evil", max_size=24))
def test_what_is_allowed_stays_here_or_is_listed(target: str) -> None:
    try:
        TARGETS.check(target)
    except RedirectRefused:
        return
    found = urlsplit(target.replace("\\", "/"))
    origin = f"{found.scheme}://{found.netloc}" if found.netloc else ""
    assert origin in ("", APP, "http://localhost:3000", "https://[2001:db8::1]")


def test_paths_may_be_left_out() -> None:
    with pytest.raises(RedirectRefused):
        RedirectTargets([APP], paths=False).check("/orders")


@pytest.mark.parametrize(
    "origin", ["app.shop.example", "https://a/", "https://A.example", "*", "null", "https://*.a.example"]
)
def test_what_is_no_origin_cannot_be_listed(origin: str) -> None:
    with pytest.raises(ValueError, match="expected an origin"):
        RedirectTargets([origin])
