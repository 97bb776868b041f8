"""What a cache is told of an answer that it may keep: when the row was changed, and which rows are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mainstay.kernel.bound import Render
from mainstay.kernel.call import Call, Reply
from mainstay.model.inputs import Page
from mainstay.model.problem import snake_case
from mainstay.model.signature import Signature
from mainstay.model.structs import Entity

_MAX_KEYS = 512
_DEPTH = 3


def with_facts(render: Render, signature: Signature) -> Render:
    """Return a render that also notes the facts for caches: of an empty list too, which a new row would change."""
    _, shown = signature.answer
    entity = isinstance(shown, type) and issubclass(shown, Entity)
    always = (snake_case(shown.__name__),) if entity else ()

    def noting(call: Call, value: Any) -> Reply:
        reply = render(call, value)
        if isinstance(value, Entity) and not reply.view:
            reply.modified = value.updated_at
        reply.keys = tuple(dict.fromkeys((*always, *_keys(value, _DEPTH))))[:_MAX_KEYS]
        return reply

    return noting


def _keys(value: Any, depth: int) -> Iterator[str]:
    """Walk what is shown: ``product`` for each kind of row, ``product/<id>`` for each row."""
    if depth < 0:
        return
    if isinstance(value, Page):
        value = value.items
    if isinstance(value, list | tuple):
        for item in value:
            yield from _keys(item, depth)
        return
    if not isinstance(value, msgspec.Struct):
        return
    if isinstance(value, Entity):
        kind = snake_case(type(value).__name__)
        yield kind
        yield f"{kind}/{value.id}"
    for name in value.__struct_fields__:
        held = getattr(value, name)
        if isinstance(held, list | tuple | msgspec.Struct):
            yield from _keys(held, depth - 1)
