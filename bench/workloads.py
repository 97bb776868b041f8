"""The workloads: one request each, the answer that every contender must give before it is measured, and bad ones."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

SECRET = "bench-secret-bench-secret-bench-secret"

FORM: dict[str, Any] = {
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "age": 36,
    "score": 0.75,
    "active": True,
    "country": "GB",
    "tags": ["first", "second", "third"],
    "note": "a note of some length, as people write them",
    "born": "1815-12-10T08:00:00Z",
    "reference": "0199c0de-0000-7000-8000-00000000000a",
    "parts": [{"sku": f"PART-{n}", "quantity": n, "price": 2.5 * n} for n in (1, 2, 3)],
}
TAKEN = {"name": "Ada Lovelace", "parts": 3, "total": 35.0}


UNPROCESSABLE = (400, 422)


@dataclass(frozen=True)
class Check:
    """A request and what its answer must be: one of the statuses, which fields a refusal must name."""

    method: str
    path: str
    statuses: tuple[int, ...]
    body: Any = None
    token: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workload:
    """What is sent again and again. ``unique`` puts a new sku into each body; ``{store}`` stands in its title."""

    name: str
    title: str
    method: str
    path: str
    status: int
    body: Any = None
    token: str | None = None
    unique: bool = False
    checks: tuple[Check, ...] = field(default=())


def _form(path: str, token: str | None, statuses: tuple[int, ...], *names: str, **changes: Any) -> Check:
    return Check("POST", path, statuses, {**FORM, **changes}, token, names)


def _bad_forms(path: str, token: str | None) -> tuple[Check, ...]:
    """Every kind of rule broken once, and several at once: all of them must be named."""
    part = FORM["parts"][0]
    refused = (422,)
    without = {name: value for name, value in FORM.items() if name != "born"}
    return (
        _form(path, token, refused, "age", age=151),
        _form(path, token, refused, "age", age=-1),
        _form(path, token, refused, "name", name=""),
        _form(path, token, refused, "name", name="n" * 101),
        _form(path, token, refused, "email", email="nobody"),
        _form(path, token, refused, "country", country="GBR"),
        _form(path, token, refused, "tags", tags=["t"] * 11),
        _form(path, token, refused, "note", note="n" * 501),
        _form(path, token, refused, born="1815-12-10T08:00:00"),
        _form(path, token, refused, reference="no uuid"),
        _form(path, token, refused, "parts", parts=[]),
        _form(path, token, refused, "parts", parts=[part] * 21),
        _form(path, token, refused, "sku", parts=[{**part, "sku": "lower"}]),
        _form(path, token, refused, "quantity", parts=[{**part, "quantity": 101}]),
        _form(path, token, refused, parts=[{**part, "unknown": 1}]),
        _form(path, token, refused, "unknown", unknown=1),
        _form(path, token, refused, "age", "score", "country", "quantity", age=151, score=1.5, country="G",
              parts=[{**part, "quantity": 0}]),
        Check("POST", path, refused, without, token, ("born",)),
        Check("POST", path, UNPROCESSABLE, "{", token),
    )  # fmt: skip


NEW_ITEM = {"sku": "{sku}", "name": "made", "price": "3.50", "stock": 1}


def _new_item(statuses: tuple[int, ...], *names: str, **changes: Any) -> Check:
    return Check("POST", "/items", statuses, {**NEW_ITEM, **changes}, None, names)


WORKLOADS = (
    Workload(
        "W1",
        "GET /hello",
        "GET",
        "/hello",
        200,
        checks=(Check("GET", "/hello", (200,)), Check("GET", "/nothing", (404,))),
    ),
    Workload(
        "W2",
        "POST ten fields and a nested list, all validated",
        "POST",
        "/forms",
        201,
        FORM,
        checks=(_form("/forms", None, (201,)), *_bad_forms("/forms", None)),
    ),
    Workload(
        "W3",
        "the chain: limit, token, role, validation, use case",
        "POST",
        "/chain",
        201,
        FORM,
        token="manager",
        checks=(
            _form("/chain", "manager", (201,)),
            _form("/chain", None, (401,)),
            _form("/chain", "broken", (401,)),
            _form("/chain", "customer", (403,)),
            *_bad_forms("/chain", "manager"),
            *(Check("GET", "/limited", (200,)) for _ in range(3)),
            Check("GET", "/limited", (429,)),
        ),
    ),
    Workload(
        "W4",
        "one row by its id, {store}",
        "GET",
        "/items/{item}",
        200,
        checks=(
            Check("GET", "/items/{item}", (200,)),
            Check("GET", "/items/00000000-0000-7000-8000-00000000ffff", (404,)),
        ),
    ),
    Workload(
        "W5",
        "50 rows and a cursor, {store}",
        "GET",
        "/items?limit=50",
        200,
        checks=(Check("GET", "/items?limit=1000", UNPROCESSABLE), Check("GET", "/items?limit=0", UNPROCESSABLE)),
    ),
    Workload(
        "W6",
        "a row and its outbox row, {store}, durable",
        "POST",
        "/items",
        201,
        NEW_ITEM,
        unique=True,
        checks=(
            _new_item((201,)),
            _new_item((409,), sku="SEED-1"),
            _new_item((422,), "price", price="-1"),
            _new_item((422,), "price", price="1.005"),
            _new_item((422,), "price", price="12345678901.00"),
            _new_item((422,), "stock", stock=-1),
            _new_item((422,), "name", name="n" * 201),
            _new_item((422,), "unknown", unknown=1),
        ),
    ),
)


def tokens() -> dict[str, str]:
    """Return the tokens that the workloads use: a manager's, a customer's, and one whose signature does not fit."""
    claims = {"iss": "bench", "aud": "bench", "sub": str(uuid.UUID(int=7)), "exp": int(time.time()) + 86400}
    made = {role: mint_token({**claims, "roles": [role]}) for role in ("manager", "customer")}
    return {**made, "broken": made["manager"][:-4] + "AAAA"}


def mint_token(claims: dict[str, Any]) -> str:
    """Return an HS256 token, made by a JOSE library that is none of the verifiers measured."""
    from joserfc import jwt
    from joserfc.jwk import OctKey

    return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, OctKey.import_key(SECRET.encode()))


def lua(workload: Workload, path: str, token: str | None) -> str:
    """Return the wrk script that sends a workload."""
    headers = {"Content-Type": "application/json"} if workload.body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    lines = [f'wrk.method = "{workload.method}"', f"wrk.path = {json.dumps(path)}"]
    lines += [f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items()]
    body = json.dumps(workload.body) if workload.body is not None else ""
    if workload.unique:
        head, _, tail = body.partition("{sku}")
        lines += [
            "local n = 0",
            "local run = tostring(os.time()) .. tostring(math.random(1, 1000000000))",
            "function init(args) math.randomseed(os.time() + os.clock() * 1000000) end",
            "function request()",
            "  n = n + 1",
            f"  return wrk.format(nil, nil, nil, {_lua_string(head)} .. run .. '-' .. n .. {_lua_string(tail)})",
            "end",
        ]
    elif body:
        lines.append(f"wrk.body = {_lua_string(body)}")
    return "\n".join(lines)


def _lua_string(text: str) -> str:
    return "[==[" + text + "]==]"


def raw(workload: Workload, path: str, token: str | None, sku_length: int) -> bytes:
    """Return a request as bytes; a body that wants a sku keeps its place, which is filled with so many characters."""
    lines = [f"{workload.method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    body = json.dumps(workload.body).encode() if workload.body is not None else b""
    if body:
        length = len(body) + (sku_length - len("{sku}") if workload.unique else 0)
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
