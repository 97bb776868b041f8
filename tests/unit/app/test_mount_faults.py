"""What is wrong with a mount is told at start-up, with its line."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from starlette.applications import Starlette

from mainstay import Module, Service, anyone, limit
from mainstay.app.checking import inspect
from mainstay.app.mounting import kind_of, make_mounts


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any, more: int = 0) -> None: ...


class Asgi2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def anything(*args: Any) -> Any: ...


async def anything_later(*args: Any) -> Any: ...


async def two(scope: Any, receive: Any) -> None: ...


def three(scope: Any, receive: Any, send: Any) -> Any: ...


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        (asgi, "asgi"),
        (Asgi(), "asgi"),
        (Asgi().__call__, "asgi"),
        (Starlette(), "asgi"),
        (functools.partial(asgi), "asgi"),
        (wsgi, "wsgi"),
        (Wsgi(), "wsgi"),
        (functools.partial(wsgi), "wsgi"),
        (Asgi2, None),
        (Wsgi, None),
        (anything, None),
        (anything_later, None),
        (two, None),
        (three, None),
        ("not callable", None),
        (None, None),
    ],
)
def test_what_an_application_is(app: Any, kind: str | None) -> None:
    assert kind_of(app) == kind


def service() -> Service:
    shop = Module("shop")

    @shop.query("GET /orders/{order_id}", allow=anyone)
    async def get_order(order_id: str) -> str:
        return order_id

    @shop.query("GET /{tenant}/menu", allow=anyone)
    async def menu(tenant: str) -> str:
        return tenant

    @shop.query("GET /legacy/moved", allow=anyone)
    async def moved() -> str:
        return ""

    return Service("shop", modules=[shop])


def faults(path: str, app: Any = asgi, **more: Any) -> list[str]:
    made = service()
    made.mount(path, app, **more)
    return [str(fault) for fault in inspect(made).faults]


@pytest.mark.parametrize("path", ["legacy", "", "/legacy/", "//legacy", "/a/../b", "/.", "/a b", "/%6c", "/{x}", "/ż"])
def test_a_path_that_is_none(path: str) -> None:
    (fault,) = faults(path)
    assert "test_mount_faults.py" in fault
    assert "mounted at" in fault


@pytest.mark.parametrize("path", ["/health", "/docs", "/docs/old", "/openapi.json", "/asyncapi.json"])
def test_paths_that_every_service_has(path: str) -> None:
    assert any("of its own" in fault for fault in faults(path))


def test_routes_that_take_the_same_paths() -> None:
    assert faults("/") == []
    assert faults("/other/deep/er") == []
    (fault,) = faults("/old/menu")
    assert "GET /{tenant}/menu" in fault
    (fault,) = faults("/orders/archive")
    assert "GET /orders/{order_id}" in fault
    assert any("GET /{tenant}/menu" in fault for fault in faults("/legacy")), "a tenant may be called legacy"


def test_routes_of_versions_have_their_prefix() -> None:
    shop = Module("shop")

    @shop.query("GET /{tenant}/menu", allow=anyone)
    async def menu(tenant: str) -> str:
        return tenant

    made = Service("shop", modules=[shop], versions=["1"])
    made.mount("/legacy/old", asgi)
    made.mount("/v1/old", asgi)
    (fault,) = inspect(made).faults
    assert fault.subject == "mount:/v1/old"


def test_two_at_one_path_and_what_is_unclear() -> None:
    made = service()
    made.mount("/", asgi)
    made.mount("/", anything, limits=[limit("1/minute")], deadline=0)
    said = [str(fault) for fault in inspect(made).faults]
    for words in ("already", 'say kind="asgi"', "address or global", "above 0"):
        assert any(words in one for one in said), words
    assert faults("/", anything, kind="wsgi") == []


def test_mounts_belong_to_the_whole_service() -> None:
    made = service()
    made.mount("/", asgi)
    bound = inspect(made)
    (mount,) = make_mounts(bound, max_body=7)
    assert (mount.path, mount.max_body, mount.bound.name, mount.bound.stages) == ("", 7, "mount:/", ())
    made.serves = "shop"
    assert make_mounts(bound, max_body=7) == []
