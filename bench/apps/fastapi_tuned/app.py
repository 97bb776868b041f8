"""FastAPI as somebody writes it who has profiled it: pure ASGI middleware, orjson, no ORM, no thread, cached tokens.

Answers are dumped by orjson from plain values and not validated once more on the way out.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jwt
import orjson
from chain import Buckets, Observed, Tokens
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from forms import Form, MakeItem, taken
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rows import Taken, make_rows

rows = make_rows()
tokens = Tokens()
wide = Buckets(100_000_000, 60)
narrow = Buckets(3, 60)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    await rows.open()
    yield
    await rows.close()


app = FastAPI(openapi_url=None, lifespan=lifespan)
app.add_middleware(Observed)


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")


async def manager(request: Request) -> dict[str, Any]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "not authenticated")
    try:
        claims = tokens.verify(token)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "invalid token") from error
    if not wide.take(claims["sub"]):
        raise HTTPException(429, "too many requests")
    if "manager" not in claims.get("roles", ()):
        raise HTTPException(403, "forbidden")
    return claims


@app.get("/hello")
async def hello() -> Response:
    return answer({"message": "hello"})


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@app.get("/limited")
async def limited(request: Request) -> Response:
    if not narrow.take(request.client.host if request.client else "-"):
        raise HTTPException(429, "too many requests")
    return answer({"message": "hello"})


@app.post("/forms")
async def take_form(form: Form) -> Response:
    return answer(taken(form).__dict__, 201)


@app.post("/chain", dependencies=[Depends(manager)])
async def chain(form: Form) -> Response:
    return answer(taken(form).__dict__, 201)


@app.get("/items/{item_id}")
async def get_item(item_id: uuid.UUID) -> Response:
    item = await rows.get(item_id)
    if item is None:
        raise HTTPException(404, "not found")
    return answer(item)


@app.get("/items")
async def list_items(limit: Annotated[int, Query(ge=1, le=100)] = 50, cursor: str | None = None) -> Response:
    try:
        items, following = await rows.page(limit, cursor)
    except ValueError as error:
        raise HTTPException(400, "invalid cursor") from error
    return answer({"items": items, "next": following})


@app.post("/items")
async def make_item(body: MakeItem) -> Response:
    try:
        item = await rows.add(body.sku, body.name, body.price, body.stock)
    except Taken as error:
        raise HTTPException(409, "sku exists") from error
    return answer(item, 201)
