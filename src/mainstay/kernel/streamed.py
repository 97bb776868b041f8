"""What a stream is made of, between the kernel and a protocol."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from mainstay.model.inputs import Stream


class Item(NamedTuple):
    """One item of a stream: its JSON text, and what the stream can be taken up again after."""

    text: bytes
    id: str | None = None


def items_of(answer: Any) -> AsyncIterator[Any]:
    """Return the iterator that a use case has answered with."""
    found: AsyncIterator[Any] = answer.items if isinstance(answer, Stream) else answer
    return found


def awaitable(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a use case as a coroutine function: an async generator function gives its iterator."""
    if not inspect.isasyncgenfunction(function):
        return function

    async def begin(**arguments: Any) -> AsyncIterator[Any]:
        made: AsyncIterator[Any] = function(**arguments)
        return made

    return begin
