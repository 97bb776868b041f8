"""Scenario tables: a request and what is expected of it, one row a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainstay.model.principal import Principal
from mainstay.testing.answer import Answer
from mainstay.testing.client import Client
from mainstay.testing.queries import AssertQueries, assert_queries


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One row: who asks for what, and what comes back.

    A table is run as parametrised tests::

        TABLE = [
            Scenario(name="unknown is 404", request="GET /products/{id}", ids={"id": ABSENT}, expect=404),
            Scenario(name="a customer may not create", request="POST /products", who=ann, json={...}, expect=403),
        ]

        @pytest.mark.parametrize("scenario", TABLE, ids=str)
        async def test_products(client: Client, scenario: Scenario) -> None:
            await scenario.run(client)

    ``code`` is that of the problem. Of ``body`` and ``headers`` only what is named is compared: an object may have
    further members; a list has exactly the items of the expected one. ``queries`` is how often the store is asked, as
    ``assert_queries`` counts.
    """

    name: str
    request: str
    expect: int
    who: Principal | None = None
    ids: Mapping[str, Any] = {}
    json: Any = msgspec.UNSET
    query: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    key: str | None = None
    code: str | None = None
    body: Any = msgspec.UNSET
    answer_headers: Mapping[str, str] = {}
    queries: int | None = None

    def __str__(self) -> str:
        return self.name

    async def run(self, client: Client) -> Answer:
        """Send the request and compare. Raises ``AssertionError`` that says what differs; returns the answer."""
        method, _, path = self.request.partition(" ")
        with assert_queries() as queries:
            answer = await client.request(
                method,
                path.format_map({name: str(value) for name, value in self.ids.items()}),
                who=self.who,
                json=self.json,
                query=self.query or None,
                headers=self.headers,
                key=self.key,
            )
        faults = list(self._faults(answer, queries))
        if faults:
            told = "\n  ".join(faults)
            raise AssertionError(f"{self.name}: {self.request}\n  {told}\n  the answer was {answer}")
        return answer

    def _faults(self, answer: Answer, queries: AssertQueries) -> Any:
        if answer.status != self.expect:
            yield f"status: expected {self.expect}, got {answer.status}"
        if self.code is not None and answer.code != self.code:
            yield f"code: expected {self.code}, got {answer.code}"
        for name, value in self.answer_headers.items():
            got = answer.headers.get(name.lower())
            if got != value:
                yield f"header {name}: expected {value!r}, got {got!r}"
        if self.queries is not None and self.queries != len(queries):
            yield f"queries: expected {self.queries}, got {len(queries)}{queries.told()}"
        if self.body is not msgspec.UNSET:
            yield from _differences(msgspec.to_builtins(self.body), answer.json if answer.body else None, "")


def _differences(expected: Any, got: Any, place: str) -> Any:
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            if name in got:
                yield from _differences(value, got[name], f"{place}/{name}")
            else:
                yield f"body{place}/{name}: expected {value!r}, and it is not there"
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from _differences(one, other, f"{place}/{index}")
    elif expected != got or isinstance(expected, bool) != isinstance(got, bool):
        yield f"body{place}: expected {expected!r}, got {got!r}"
