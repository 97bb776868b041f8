"""``?fields=``: what is not shown and may be large is not read, and the answer is the same as of whole rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mainstay import Dto, Entity, Module, Service, anyone, cache, field, role
from mainstay.adapters.sql.sqlite.engine import SqliteEngine
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.kernel.validate.find import Search
from mainstay.testing import Client, as_principal


class Part(Dto):
    name: str


class Shown(Entity):
    """Something with a long text, and a rule on it."""

    name: str = field(max_length=40)
    text: str
    hint: str = field(default="", read=role("editor"))
    parts: list[Part] = field(default_factory=list)


shelf = Module("shelf")
shelf.resource(Shown, path="/shown", read=anyone, cache=cache(60))
SERVICE = Service("shelf", modules=[shelf])
EDITOR = as_principal("ed", roles="editor")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with Client(SERVICE, store=SqliteStore(tmp_path / "s.sqlite", create=True)) as client:
        await client.given(*(Shown(name=f"n{n}", text="x" * n, hint=f"h{n}", parts=[Part(name="p")]) for n in range(7)))
        yield client


PATHS = [
    "fields=id,name",
    "fields=text",
    "fields=name&sort=-text,name&limit=3",
    "fields=name&text[contains]=xxx",
    "fields=id,parts&count=exact",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", [None, EDITOR])
async def test_the_answer_is_that_of_whole_rows(
    client: Client, monkeypatch: pytest.MonkeyPatch, path: str, who: Any
) -> None:
    if who is not None:
        path = path.replace("fields=", "fields=hint,")
    part = await client.get(f"/shown?{path}", who=who)
    assert part.status == 200
    assert part.json["items"]
    following = part.json.get("next")
    after = await client.get(f"/shown?{path}&cursor={following}", who=who) if following else None
    monkeypatch.setattr(Search, "_unread", lambda *_: ())
    whole = await client.get(f"/shown?{path}", who=who)
    assert whole.body == part.body
    assert whole.headers["etag"] == part.headers["etag"]
    assert after is None or after.body == (await client.get(f"/shown?{path}&cursor={following}", who=who)).body


async def test_columns_that_are_not_looked_at_are_not_in_the_statement(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    read = SqliteEngine.read

    def noted(self: SqliteEngine, statement: str, bindings: Sequence[Any]) -> Any:
        if ' FROM "shelf_shown"' in statement:  # others read their own tables at times
            told.append(statement)
        return read(self, statement, bindings)

    monkeypatch.setattr(SqliteEngine, "read", noted)
    for path, names in (("fields=id", {"text", "hint", "parts"}), ("fields=text", {"hint", "parts"}), ("", set())):
        await client.get(f"/shown?{path}")
        selected = told.pop().partition(" FROM ")[0]
        assert {name for name in ("text", "hint", "parts", "name") if f'"{name}"' not in selected} == names
