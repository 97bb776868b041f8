"""The edges of stored documents, of conditions in memory, and of the line of second attempts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import pytest

from mainstay.model.conditions import Condition
from mainstay.model.schema import shape_of
from mainstay.ports import documents
from mainstay.ports.again import Line
from mainstay.ports.selection import predicate


class Inner(msgspec.Struct):
    free: dict
    number: Annotated[int, msgspec.Meta(ge=5)]


class Held(msgspec.Struct):
    inner: Inner


def test_a_document_with_a_free_map_is_read_without_todays_bounds() -> None:
    (attribute,) = shape_of(Held).attributes
    encode, decode = documents.document_codec(attribute)
    assert decode(encode(Inner({"a": 1}, 7))) == Inner({"a": 1}, 7)
    assert decode('{"free": {"a": [1]}, "number": 1}') == Inner({"a": [1]}, 1)


def test_a_type_without_a_form_in_a_document_is_told() -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        documents._hide(complex, 1)


def test_what_is_no_condition_is_told() -> None:
    with pytest.raises(TypeError, match="Condition is no condition"):
        predicate(Condition())


async def test_who_is_no_task_has_no_second_attempt() -> None:
    line, done = Line(), asyncio.Event()

    def met() -> None:
        line.met()
        done.set()

    asyncio.get_running_loop().call_soon(met)
    await done.wait()
    entered: Any = await line.enter()
    assert entered is False
