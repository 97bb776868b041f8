"""What a load has learnt from answers: the rows that there are, and values by which they may be named."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mainstay.testing.rollout.contract import Contract
from mainstay.testing.rollout.schemas import Schema

_KEPT = 60
"""How many values of a field are kept: the last ones."""


class Row(msgspec.Struct, frozen=True):
    """A row that somebody made, and through which version."""

    entity: str
    id: str
    who: str
    version: str


class Known:
    """Values of fields by entity, with who was shown them; and the rows that were made."""

    def __init__(self, chance: random.Random) -> None:
        self.made: list[Row] = []
        self.gone: set[str] = set()
        self.tags: dict[str, str] = {}
        self._chance = chance
        self._values: dict[tuple[str, str], deque[tuple[str, Any]]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def learn(self, contract: Contract, schema: Schema, value: Any, who: str) -> None:
        """Keep what an answer shows."""
        for entity, shown in contract.objects(schema, value):
            for name, inner in shown.items():
                if isinstance(inner, str | int) and not isinstance(inner, bool) and inner not in self.gone:
                    self._values[plain(entity), plain(name)].append((who, inner))

    def forget(self, id_: str) -> None:
        """Ask no more for a row: it was deleted."""
        self.gone.add(id_)
        for (_, name), values in self._values.items():
            if name == "id":
                left = [pair for pair in values if pair[1] != id_]
                values.clear()
                values.extend(left)

    def count(self, entity: str) -> int:
        """Return how many rows of an entity could be named."""
        return len({value for _, value in self._values[plain(entity), "id"]})

    def value(self, entity: str, field: str, who: str) -> Any:
        """Return a value that a field of an entity has: one that ``who`` was shown, if there is any; else None."""
        values = self._values.get((plain(entity), plain(field)), ())
        own = [value for seen_by, value in values if seen_by == who] or [value for _, value in values]
        return self._chance.choice(own) if own else None

    def elsewhere(self, field: str, entity: str, who: str) -> Any:
        """Return a value that a field of this name has in any other entity, or None."""
        own, name = plain(entity), plain(field)
        others = [one for one, inner in self._values if inner == name and one != own]
        return self.value(self._chance.choice(others), field, who) if others else None

    def named_by(self, field: str, entities: Iterable[str]) -> str | None:
        """Return the entity whose id a field of this name holds, as ``category_id`` does that of a Category."""
        name = plain(field)
        if not name.endswith("id") or name == "id":
            return None
        fitting = (one for one in entities if plain(one) == name[:-2])
        return next(fitting, None)


def plain(name: str) -> str:
    """Return a name as it is compared: ``category_id``, ``categoryId`` and ``CategoryId`` are one."""
    return name.replace("_", "").lower()


def parsed(body: bytes) -> Any:
    """Return the value of a body, or None where it is no JSON."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def row_of(endpoint_entity: str, value: Any, who: str, version: str) -> Row | None:
    """Return the row that an answer shows, if it shows one."""
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
        return None
    return Row(endpoint_entity, value["id"], who, version)
