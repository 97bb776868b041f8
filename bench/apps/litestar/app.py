"""Litestar with its own authentication, guards and pydantic bodies, and the data layer of the other tuned peers."""

import uuid
from collections.abc import Callable
from typing import Any

import jwt
import orjson
from chain import Buckets, Observed, Tokens
from forms import Form, MakeItem, taken
from litestar import Litestar, Response, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import (
    ClientException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
    TooManyRequestsException,
    ValidationException,
)
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.params import Parameter
from litestar.types import Guard
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rows import Taken, make_rows

rows = make_rows()
tokens = Tokens()


class Bearer(AbstractAuthenticationMiddleware):
    """Makes a user of a token that verifies; verified ones are kept until they expire."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthorizedException("not authenticated")
        try:
            claims = tokens.verify(token)
        except jwt.InvalidTokenError as error:
            raise NotAuthorizedException("invalid token") from error
        return AuthenticationResult(user=claims, auth=token)


# Litestar's own limiter keeps the time of every call of the last minute and copies the list at each: at this rate that
# would be all that is measured.
def limited_to(buckets: Buckets, key: Callable[[ASGIConnection[Any, Any, Any, Any]], str]) -> Guard:
    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        if not buckets.take(key(connection)):
            raise TooManyRequestsException("too many requests")

    return guard


wide = limited_to(Buckets(100_000_000, 60), lambda connection: connection.user["sub"])
narrow = limited_to(Buckets(3, 60), lambda connection: connection.client.host if connection.client else "-")


def manager(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    if "manager" not in connection.user.get("roles", ()):
        raise PermissionDeniedException("forbidden")


def answer(value: Any, status: int = 200) -> Response[bytes]:
    return Response(orjson.dumps(value, default=str), status_code=status, media_type="application/json")


@get("/hello")
async def hello() -> dict[str, str]:
    return {"message": "hello"}


@get("/metrics", sync_to_thread=False)
def metrics() -> Response[bytes]:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@get("/limited", guards=[narrow])
async def limited() -> dict[str, str]:
    return {"message": "hello"}


@post("/forms", status_code=201)
async def take_form(data: Form) -> dict[str, Any]:
    return taken(data).__dict__


@post("/chain", status_code=201, middleware=[Bearer], guards=[wide, manager])
async def chain(data: Form) -> dict[str, Any]:
    return taken(data).__dict__


@get("/items/{item_id:uuid}")
async def get_item(item_id: uuid.UUID) -> Response[bytes]:
    item = await rows.get(item_id)
    if item is None:
        raise NotFoundException("not found")
    return answer(item)


@get("/items")
async def list_items(limit: int = Parameter(ge=1, le=100, default=50), cursor: str | None = None) -> Response[bytes]:
    try:
        items, following = await rows.page(limit, cursor)
    except ValueError as error:
        raise ClientException("invalid cursor") from error
    return answer({"items": items, "next": following})


@post("/items", status_code=201)
async def make_item(data: MakeItem) -> Response[bytes]:
    try:
        item = await rows.add(data.sku, data.name, data.price, data.stock)
    except Taken as error:
        raise ClientException("sku exists", status_code=409) from error
    return answer(item, 201)


def invalid(_request: Any, error: ValidationException) -> Response[Any]:
    return Response({"detail": error.detail, "extra": error.extra}, status_code=422)


app = Litestar(
    [hello, metrics, limited, take_form, chain, get_item, list_items, make_item],
    exception_handlers={ValidationException: invalid},
    openapi_config=None,
    on_startup=[rows.open],
    on_shutdown=[rows.close],
)
served = Observed(app)
