"""The workloads: one request each, the answer that every contender must give before it is measured, and bad ones."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from bench.peers import SECRET

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


@dataclass(frozen=True)
class Check:
    """A request and what its answer must be. ``member`` of the answer must hold ``value``."""

    method: str
    path: str
    status: int
    body: Any = None
    token: str | None = None
    member: str | None = None
    value: Any = None


@dataclass(frozen=True)
class Workload:
    """What is sent again and again. ``unique`` puts a new sku into each body."""

    name: str
    title: str
    method: str
    path: str
    status: int
    body: Any = None
    token: str | None = None
    unique: bool = False
    observed: bool = False  # peers have metrics and a log, too
    checks: tuple[Check, ...] = field(default=())


def _bad(**changes: Any) -> dict[str, Any]:
    return {**FORM, **changes}


WORKLOADS = (
    Workload(
        "W1",
        "GET /hello",
        "GET",
        "/hello",
        200,
        checks=(Check("GET", "/hello", 200, member="message", value="hello"), Check("GET", "/nothing", 404)),
    ),
    Workload(
        "W2",
        "POST ten fields and a nested list, validated",
        "POST",
        "/forms",
        201,
        FORM,
        checks=(
            Check("POST", "/forms", 201, FORM, member="total", value=35.0),
            Check("POST", "/forms", 422, _bad(age=151)),
            Check("POST", "/forms", 422, _bad(email="nobody")),
            Check("POST", "/forms", 422, _bad(unknown=1)),
            Check("POST", "/forms", 422, _bad(parts=[])),
        ),
    ),
    Workload(
        "W3",
        "the chain: limit, token, role, validation, use case, request id, metrics, log",
        "POST",
        "/chain",
        201,
        FORM,
        token="manager",
        observed=True,
        checks=(
            Check("POST", "/chain", 201, FORM, "manager", "total", 35.0),
            Check("POST", "/chain", 401, FORM, "broken"),
            Check("POST", "/chain", 403, FORM, "customer"),
            Check("POST", "/chain", 422, _bad(age=-1), "manager"),
        ),
    ),
    Workload(
        "W4",
        "one row by id, SQLite",
        "GET",
        "/items/{item}",
        200,
        checks=(
            Check("GET", "/items/{item}", 200, member="stock", value=1),
            Check("GET", "/items/00000000-0000-0000-0000-00000000ffff", 404),
        ),
    ),
    Workload(
        "W5",
        "50 rows, SQLite",
        "GET",
        "/items?limit=50",
        200,
        checks=(Check("GET", "/items?limit=50", 200),),
    ),
    Workload(
        "W6",
        "row and outbox row in one transaction, SQLite FULL",
        "POST",
        "/items",
        201,
        {"sku": "{sku}", "name": "made", "price": "3.50", "stock": 1},
        unique=True,
        checks=(
            Check(
                "POST",
                "/items",
                201,
                {"sku": "{sku}", "name": "m", "price": "3.50", "stock": 1},
                member="stock",
                value=1,
            ),
            Check("POST", "/items", 422, {"sku": "x", "name": "m", "price": "-1", "stock": 1}),
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
