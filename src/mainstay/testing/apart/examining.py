"""The examination: one caller tries every operation with what belongs to another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from mainstay.app.refusal import Refusal
from mainstay.kernel.bound import BoundOperation
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.signature import Source
from mainstay.model.structs import STANDARD_FIELDS
from mainstay.ports.unit_of_work import EntityPlan
from mainstay.testing.answer import Answer
from mainstay.testing.apart.asking import Ask, ask_for, facts, placed, places, send
from mainstay.testing.apart.report import Report
from mainstay.testing.apart.world import ABSENT, World
from mainstay.testing.client import Client

OPERATORS = ("", "[ne]", "[in]", "[gt]", "[gte]", "[lt]", "[lte]", "[contains]", "[starts]")
_EACH = 2  # hidden rows of an entity that are tried
_LARGEST = 200
_PRECONDITIONS: tuple[dict[str, str], ...] = ({}, {"if-match": "*"}, {"if-match": '"1-00000000"'})
_SUCCESS = 200


async def examine(client: Client, one: Principal, other: Principal, *, skip: Collection[str] = ()) -> Report:
    """Have ``other`` try all operations with what is hidden from it, and report what it could learn or change.

    Rows that are there stay; entities without any get some. ``skip`` names operations whose effects reach what others
    may not see by intent. ``one`` and ``other`` are of two tenants where rows belong to tenants.
    """
    world = World(client, one, other)
    await world.make()
    examiner = _Examiner(client, world, other)
    operations = [each for each in client.bound.operations if each.operation.method and each.name not in skip]
    for operation in sorted(operations, key=lambda each: each.operation.kind is not OperationKind.QUERY):
        await examiner.examine(operation)
    return examiner.report


class _Examiner:
    def __init__(self, client: Client, world: World, who: Principal) -> None:
        self.report = Report(findings=[], operations={}, unasked={})
        self._client = client
        self._world = world
        self._who = who
        self._marks: dict[str, str] = {}

    async def examine(self, operation: BoundOperation) -> None:
        """Try one operation: plainly, with ids of hidden rows, and with searches for what they hold."""
        world = self._world
        try:
            ask = await ask_for(self._client, operation, self._who)
        except Refusal as refusal:
            self.report.unasked[operation.name] = str(refusal)
            return
        self._marks = await world.marks()
        before = await world.snapshot()
        for spelled in ask.spelled():
            await self._send(operation, spelled)
        for find in operation.signature.of(Source.FIND):
            if operation.signature.answer[0] == "page" and find.target in world.plans:
                await self._search(operation, ask, find.target)
        for entity in world.plans:
            for row in (await world.hidden(entity))[:_EACH]:
                await self._name(operation, ask, row.id)
        if operation.operation.verb == "create":
            await self._collide(operation, world.plans[operation.operation.resource.entity])
        after = await world.snapshot()
        changed = [id_ for id_, row in before.items() if after.get(id_) != row]
        if changed:
            self.report.note(operation.name, f"{len(changed)} hidden rows were changed, {changed[0]} first", ask)

    async def _send(self, operation: BoundOperation, ask: Ask, *, anonymous: bool = False) -> Answer:
        """Send a request, and note what of the hidden rows its answer shows that was not in the request."""
        answer = await send(self._client, ask, None if anonymous else self._who)
        self.report.asked(operation.name)
        told = answer.body + "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
        sent = str(ask)
        shown = sorted({what for text, what in self._marks.items() if text.encode() in told and text not in sent})
        if shown:
            self.report.note(operation.name, f"the answer shows {', '.join(shown)}", ask)
        return answer

    async def _name(self, operation: BoundOperation, ask: Ask, hidden: UUID) -> None:
        """Name a hidden row where the request names one: it is answered as a row that is not there."""
        for naming, absent in zip(_named(ask, str(hidden)), _named(ask, str(ABSENT)), strict=True):
            for headers in _PRECONDITIONS if naming.method != "GET" else _PRECONDITIONS[:1]:
                for anonymous in (False, True):
                    pairs = zip(
                        replace(naming, headers={**ask.headers, **headers}).spelled(),
                        replace(absent, headers={**ask.headers, **headers}).spelled(),
                        strict=True,
                    )
                    for there, nowhere in pairs:
                        found = await self._send(operation, there, anonymous=anonymous)
                        none = await self._send(operation, nowhere, anonymous=anonymous)
                        if facts(found, without=str(hidden)) != facts(none, without=str(ABSENT)):
                            text = f"a hidden row is told from none ({found.status}, {none.status})"
                            self.report.note(operation.name, text, there)

    async def _collide(self, operation: BoundOperation, plan: EntityPlan) -> None:
        """Add rows with unique values of hidden rows of other tenants: these are taken like values that no row has."""
        if plan.tenancy is None:
            return  # unique among all: that a value is taken is told, and said to be
        for row in (await self._world.hidden(plan.shape.type))[:_EACH]:
            for attribute in plan.shape.attributes:
                fresh = await ask_for(self._client, operation, self._who)
                if not attribute.spec.unique or attribute.name not in fresh.body:
                    continue
                held = msgspec.to_builtins(getattr(row, attribute.name), enc_hook=str)
                taken = replace(fresh, body={**fresh.body, attribute.name: held})
                found, free = [(await self._send(operation, ask)).status for ask in (taken, fresh)]
                if found != free:
                    text = f"a value of another tenant's row is told from a free one ({found}, {free})"
                    self.report.note(operation.name, text, taken)

    async def _search(self, operation: BoundOperation, ask: Ask, entity: Any) -> None:
        """Search for what hidden rows hold: only visible rows are found, counted, and turned over."""
        world, visible = self._world, await self._world.visible(entity)
        ids = {str(row.id) for row in visible}
        async for query in _searches(world, entity, len(visible)):
            tried = replace(ask, query=(*ask.query, *query.items()))
            answer = await self._send(operation, tried)
            if answer.status != _SUCCESS:
                continue
            page = answer.json
            if not {row["id"] for row in page["items"] if "id" in row} <= ids:
                self.report.note(operation.name, "a search finds hidden rows", tried)
            if page.get("count", 0) > len(visible):
                self.report.note(operation.name, "a count counts hidden rows", tried)
            if query.get("limit") == str(len(visible)) and "next" in page:
                self.report.note(operation.name, "there is a next page, and nothing to see on it", tried)


def _named(ask: Ask, id_: str) -> Iterator[Ask]:
    """Walk the request with an id in each place that has one: in the path, and in the body."""
    for name, value in ask.arguments.items():
        if _is_id(value):
            yield replace(ask, arguments={**ask.arguments, name: id_})
    if ask.body is not msgspec.UNSET:
        for path, value in places(ask.body):
            if _is_id(value):
                yield replace(ask, body=placed(ask.body, path, id_))


def _is_id(value: Any) -> bool:
    try:
        UUID(value)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


async def _searches(world: World, entity: Any, visible: int) -> AsyncIterator[dict[str, str]]:
    """Walk queries: plain ones, every order, every relation, and every operator on what hidden rows hold."""
    plan = world.plans[entity]
    yield {"count": "exact"}
    yield {"count": "exact", "limit": "1"}
    if 0 < visible <= _LARGEST:
        yield {"limit": str(visible)}
    for relation in plan.shape.relations:
        yield {"include": relation.name}
    for attribute in plan.shape.attributes:
        yield {"sort": attribute.name, "limit": "1"}
        yield {"sort": f"-{attribute.name}", "fields": "id"}
    for row in (await world.hidden(entity))[:_EACH]:
        for attribute in plan.shape.attributes:
            value = msgspec.to_builtins(getattr(row, attribute.name), enc_hook=str)
            if value is None or isinstance(value, dict | list) or attribute.name in STANDARD_FIELDS[1:]:
                continue
            for operator in OPERATORS:
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                yield {f"{attribute.name}{operator}": text, "count": "exact"}
