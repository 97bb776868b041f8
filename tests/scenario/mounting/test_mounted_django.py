"""Django beside a service's own operations, both as ASGI and as WSGI."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mounted_service import served, service


@pytest.fixture(scope="module")
def django_applications() -> Iterator[dict[str, Any]]:
    """A project in one module: Django can be set up once in a process."""
    import django
    from django.conf import settings
    from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def where(request: HttpRequest) -> JsonResponse:
        told = {"path": request.path, "info": request.path_info, "url": request.build_absolute_uri()}
        return JsonResponse({**told, "secure": request.is_secure(), "body": request.body.decode()})

    def parts(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(iter([b"a", b"b"]))

    urls = types.ModuleType("mounted_django_urls")
    urls.urlpatterns = [path("where", where), path("parts", parts)]  # type: ignore[attr-defined]
    sys.modules[urls.__name__] = urls
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=urls.__name__,
            ALLOWED_HOSTS=["shop.example"],
            SECRET_KEY="only-of-this-test",
            MIDDLEWARE=[
                "django.middleware.security.SecurityMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware",
            ],
            USE_TZ=True,
        )
        django.setup()
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    yield {"asgi": ASGIHandler(), "wsgi": WSGIHandler()}
    sys.modules.pop(urls.__name__)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
@pytest.mark.parametrize("form", ["native", "uvicorn"])
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
async def test_a_django_project(form: str, kind: str, django_applications: dict[str, Any], tmp_path: Path) -> None:
    made = service()
    made.mount("/legacy", django_applications[kind])
    async with served(made, tmp_path, form) as one:
        answer = await one.ask("POST", "/legacy/where?a=1", {}, b"body")
        assert answer.json == {
            "path": "/legacy/where",
            "info": "/where",
            "url": "http://shop.example/legacy/where?a=1",
            "secure": False,
            "body": "body",
        }
        assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")
        assert answer["Referrer-Policy"] == "same-origin", "its own, which its form protection needs"
        assert (await one.ask("GET", "/legacy/parts")).body == b"ab"
        assert (await one.ask("GET", "/legacy/nothing")).status == 404
        call = await one.told("mount:/legacy")
        assert (call.status, call.protocol) == (200, kind)
