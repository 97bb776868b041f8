"""BlackSheep with its own authentication and policies, pydantic bodies, and the data layer of the other tuned peers."""

import uuid
from typing import Any

import jwt
import orjson
from blacksheep import Application, Content, FromJSON, Request, Response
from blacksheep.exceptions import BadRequest, HTTPException
from blacksheep.server.authorization import auth
from chain import Buckets, Observed, Tokens
from forms import Form, MakeItem, taken
from guardpost import AuthenticationHandler, Identity, Policy
from guardpost.authorization import Requirement
from guardpost.common import AuthenticatedRequirement, AuthorizationContext
from prometheus_client import generate_latest
from pydantic import ValidationError
from rows import Taken, make_rows

rows = make_rows()
tokens = Tokens()
wide = Buckets(100_000_000, 60)
narrow = Buckets(3, 60)

app = Application()
JSON = b"application/json"


class Bearer(AuthenticationHandler):
    """Makes an identity of a token that verifies."""

    async def authenticate(self, context: Request) -> Identity | None:
        header = context.get_first_header(b"Authorization")
        if header is None or not header.startswith(b"Bearer "):
            return None
        try:
            return Identity(tokens.verify(header[7:].decode("latin-1")), "Bearer")
        except jwt.InvalidTokenError:
            return None


class Manager(Requirement):
    """The role of managers."""

    def handle(self, context: AuthorizationContext) -> None:
        if context.identity is not None and "manager" in context.identity.claims.get("roles", ()):
            context.succeed(self)


@app.on_start
async def begin(_app: Application) -> None:
    await rows.open()


@app.on_stop
async def end(_app: Application) -> None:
    await rows.close()


app.use_authentication().add(Bearer())
app.use_authorization().add(Policy("manager", AuthenticatedRequirement(), Manager()))


def answer(value: Any, status: int = 200) -> Response:
    return Response(status, content=Content(JSON, orjson.dumps(value, default=str)))


@app.exception_handler(ValidationError)
async def invalid(_app: Application, _request: Request, error: ValidationError) -> Response:
    return Response(422, content=Content(JSON, error.json(include_input=False).encode()))


@app.exception_handler(BadRequest)
async def refused(_app: Application, _request: Request, error: BadRequest) -> Response:
    cause = error.__context__ or error.__cause__
    if isinstance(cause, ValidationError):
        return await invalid(_app, _request, cause)
    return answer({"detail": str(error)}, 400)


@app.router.get("/hello")
async def hello() -> Response:
    return answer({"message": "hello"})


@app.router.get("/metrics")
async def metrics() -> Response:
    return Response(200, content=Content(b"text/plain; version=0.0.4", generate_latest()))


@app.router.get("/limited")
async def limited(request: Request) -> Response:
    if not narrow.take(request.client_ip):
        raise HTTPException(429, "too many requests")
    return answer({"message": "hello"})


@app.router.post("/forms")
async def take_form(form: FromJSON[Form]) -> Response:
    return answer(taken(form.value).__dict__, 201)


@auth("manager")
@app.router.post("/chain")
async def chain(request: Request, form: FromJSON[Form]) -> Response:
    if not wide.take(request.user.claims["sub"]):
        raise HTTPException(429, "too many requests")
    return answer(taken(form.value).__dict__, 201)


@app.router.get("/items/{uuid:item_id}")
async def get_item(item_id: uuid.UUID) -> Response:
    item = await rows.get(item_id)
    return answer({"detail": "not found"}, 404) if item is None else answer(item)


@app.router.get("/items")
async def list_items(limit: int = 50, cursor: str | None = None) -> Response:
    if not 1 <= limit <= 100:
        raise BadRequest("limit must be from 1 to 100")
    try:
        items, following = await rows.page(limit, cursor)
    except ValueError as error:
        raise BadRequest("invalid cursor") from error
    return answer({"items": items, "next": following})


@app.router.post("/items")
async def make_item(body: FromJSON[MakeItem]) -> Response:
    wanted = body.value
    try:
        item = await rows.add(wanted.sku, wanted.name, wanted.price, wanted.stock)
    except Taken:
        return answer({"detail": "sku exists"}, 409)
    return answer(item, 201)


def template(scope: Any) -> str:
    """Return the path without the id, as figures want it: BlackSheep does not put its route into the scope."""
    path = scope["path"]
    return "/items/{item_id}" if path.startswith("/items/") else path


served = Observed(app, template)
