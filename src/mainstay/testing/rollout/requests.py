"""Requests made of a contract: which operation, by whom, with what."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from mainstay.testing.rollout.contract import Contract, Endpoint
from mainstay.testing.rollout.known import Known
from mainstay.testing.rollout.schemas import Schema
from mainstay.testing.rollout.values import NONE, Maker

STRANGERS = 0.05
"""How often a caller comes without a token, where that is allowed."""

_WEIGHTS: Mapping[str, float] = MappingProxyType({"GET": 5, "POST": 3, "PATCH": 2, "PUT": 2, "DELETE": 0.3})
_FEW = 8
"""So many rows are left alone by deletions."""

_OPTIONAL = 0.15
"""How often an optional parameter is given."""


class Request(msgspec.Struct, frozen=True):
    """A request, ready to be sent. ``id`` is that of the row that its path names, if any."""

    endpoint: Endpoint
    who: str
    target: str
    fields: Mapping[str, str]
    body: bytes
    id: str


class Asking:
    """Makes requests to one version. ``tokens`` are the callers, by name."""

    def __init__(self, contract: Contract, known: Known, tokens: Mapping[str, str], chance: random.Random) -> None:
        self._contract = contract
        self._known = known
        self._tokens = tokens
        self._chance = chance
        self._weights = [_WEIGHTS.get(one.method, 1.0) for one in contract.endpoints]

    def draw(self) -> Request | None:
        """Return a request to an operation that chance takes; None where there is nothing that it could be about."""
        if not self._contract.endpoints:
            return None
        (endpoint,) = self._chance.choices(self._contract.endpoints, self._weights)
        if endpoint.method == "DELETE" and self._known.count(self._sibling(endpoint)) < _FEW:
            return None
        return self.make(endpoint)

    def make(self, endpoint: Endpoint, *, who: str | None = None, id_: str | None = None) -> Request | None:
        """Return a request to one operation: by anybody, or by ``who``; about any row, or that with ``id_``."""
        caller = who if who is not None else self._caller(endpoint)
        maker = Maker(self._contract, self._known, self._chance, caller, endpoint.entity)
        named = {one: id_ or self._place(endpoint, one, maker) for one in endpoint.places}
        if any(value in (None, NONE) for value in named.values()):
            return None
        body = self._body(endpoint, maker)
        if body is None:
            return None
        path = endpoint.path
        for name, value in named.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        query = [] if id_ else self._query(endpoint, maker)
        row = str(next(iter(named.values()), ""))
        fields = self._fields(endpoint, maker, row)
        if body:
            fields["Content-Type"] = endpoint.media_type
        return Request(endpoint, caller, path + (f"?{urlencode(query)}" if query else ""), fields, body, row)

    def _caller(self, endpoint: Endpoint) -> str:
        if endpoint.open and self._chance.random() < STRANGERS:
            return ""
        return self._chance.choice(list(self._tokens))

    def _place(self, endpoint: Endpoint, name: str, maker: Maker) -> Any:
        """Return what stands in the path: the id of a row, or another value of its."""
        entity = self._known.named_by(name, self._contract.entities)
        about = endpoint.entity or self._sibling(endpoint)
        found = self._known.value(entity or about, "id" if entity else name, maker.who)
        if found is not None:
            return found
        told = next((one for one in endpoint.parameters if one["in"] == "path" and one["name"] == name), None)
        is_id = told is not None and told.get("schema", {}).get("format") == "uuid"
        return NONE if told is None or is_id else maker.value(told["schema"], name)

    def _sibling(self, endpoint: Endpoint) -> str:
        """Return what another operation of the same path is about."""
        return next((one.entity for one in self._contract.endpoints if one.path == endpoint.path and one.entity), "")

    def _body(self, endpoint: Endpoint, maker: Maker) -> bytes | None:
        if endpoint.body is None or (not endpoint.body_required and self._chance.random() < 0.5):
            return b""
        value = maker.value(endpoint.body, "")
        return None if value is NONE else msgspec.json.encode(value)

    def _query(self, endpoint: Endpoint, maker: Maker) -> list[tuple[str, str]]:
        given = []
        for one in endpoint.parameters:
            wanted = one["required"] or (one["name"] != "cursor" and self._chance.random() < self._share(endpoint))
            if one["in"] == "query" and wanted:
                value = maker.value(one["schema"], str(one["name"]).partition("[")[0])
                given += [] if value in (None, NONE) else _spelled(one, value)
        return given

    @staticmethod
    def _share(endpoint: Endpoint) -> float:
        """Return how often each of the optional parameters is given: where there are many, as few in all."""
        return _OPTIONAL / max(1, len(endpoint.parameters) // 8)

    def _fields(self, endpoint: Endpoint, maker: Maker, row: str) -> dict[str, str]:
        fields = {"Accept": "application/json"}
        if maker.who:
            fields["Authorization"] = f"Bearer {self._tokens[maker.who]}"
        for one in endpoint.parameters:
            if one["in"] != "header":
                continue
            if one["name"] == "Idempotency-Key":
                fields["Idempotency-Key"] = f'"{self._chance.getrandbits(96):x}"'
            elif one["name"] == "If-Match" and one["required"]:
                fields["If-Match"] = self._known.tags.get(row, "*")
            elif one["required"]:
                fields[str(one["name"])] = _text(maker.value(one["schema"], str(one["name"])))
        return fields


def _spelled(parameter: Schema, value: Any) -> list[tuple[str, str]]:
    """Return a parameter as it stands in a query string (style form)."""
    name = str(parameter["name"])
    if not isinstance(value, list):
        return [(name, _text(value))]
    if parameter.get("explode", True):
        return [(name, _text(one)) for one in value]
    return [(name, ",".join(_text(one) for one in value))] if value else []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
