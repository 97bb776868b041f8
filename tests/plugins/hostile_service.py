"""A service that takes text and JSON in every position, to be given what nobody means well by."""

from __future__ import annotations

from typing import Annotated, Any

from http_clients import Answered

from mainstay import Dto, Entity, Find, Module, Page, Repository, anyone, field, header

module = Module("hostile")


class Note(Entity):
    """A text that is kept."""

    text: str = field(max_length=100_000)
    data: Any = None


class Holder(Dto):
    """Any JSON value."""

    value: Any


class Text(Dto):
    """A text."""

    value: str


module.resource(Note, path="/notes", read=anyone, create=anyone, update=anyone, delete=anyone)


@module.command("POST /anything", allow=anyone)
async def hold(body: Holder) -> Holder:
    """Give any JSON value back."""
    return body


@module.query("GET /echo/{value}", allow=anyone)
async def echo_path(value: str) -> Text:
    """Give a segment of the path back."""
    return Text(value=value)


@module.query("GET /echo", allow=anyone)
async def echo_query(value: str = "", told: Annotated[str, header("X-Text")] = "") -> Text:
    """Give a parameter, or a header, back."""
    return Text(value=value or told)


@module.query("GET /searched", allow=anyone)
async def search(find: Find[Note], notes: Repository[Note]) -> Page[Note]:
    """Search notes."""
    return await notes.page(find)


TRACES = (b"Traceback", b'File "', b"/mainstay/", b"msgspec", b"apsw", b"sqlite", b"site-packages")


def refused(answer: Answered, *statuses: int) -> str:
    """Check that an answer is a clear refusal, and return its code."""
    assert answer.status in (statuses or range(400, 500)), (answer.status, answer.body[:300])
    assert answer["content-type"] == "application/problem+json"
    told = answer.json
    assert told["status"] == answer.status
    assert told["code"]
    assert told["title"]
    assert not [trace for trace in TRACES if trace in answer.body], answer.body[:300]
    code: str = told["code"]
    return code


def fine_or_refused(answer: Answered) -> bool:
    """Check that an answer is a success (True) or a clear refusal (False)."""
    if answer.status < 300:
        return True
    refused(answer)
    return False
