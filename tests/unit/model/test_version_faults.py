"""What is wrong with versions is told at start-up, with its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from mainstay import Entity, Module, Service, Version, anyone
from mainstay.model.checks import check_service

Given = Sequence[str | Version]


class Leaf(Entity):
    name: str = ""


def faults(versions: Given, *ranges: tuple[str | None, str | None], **names: str) -> list[str]:
    module = Module("m")
    for number, (since, until) in enumerate(ranges):

        async def use_case() -> str:
            return ""

        path = names.get("path", f"/p{number}")
        name = names.get("name", f"o{number}")
        module.query(f"GET {path}", allow=anyone, since=since, until=until, name=name)(use_case)
    return [fault.message for fault in check_service(Service("s", modules=[module], versions=versions)).faults]


@pytest.mark.parametrize(
    "ranges",
    [
        [(None, None)],
        [("1", "1"), ("2", "3")],
        [(None, "1"), ("2", None)],
        [("3", None), (None, "2")],
        [("2", "2"), (None, "1"), ("3", "3")],
    ],
)
def test_ranges_that_do_not_meet_are_fine(ranges: list[tuple[str | None, str | None]]) -> None:
    assert faults(["1", "2", "3"], *ranges, name="o", path="/p") == []


@pytest.mark.parametrize(
    "ranges", [[(None, None), ("2", None)], [(None, "2"), ("2", None)], [("1", "3"), ("2", "2")], [(None, None)] * 2]
)
def test_ranges_that_meet_are_refused(ranges: list[tuple[str | None, str | None]]) -> None:
    by_name = faults(["1", "2", "3"], *ranges, name="o")
    assert [message.startswith("another operation is named o, at ") for message in by_name] == [True]
    by_route = faults(["1", "2", "3"], *ranges, path="/p")
    assert [message.startswith("GET /p is the route of o0 too, at ") for message in by_route] == [True]


@pytest.mark.parametrize(
    ("versions", "since", "until", "message"),
    [
        (["1", "2"], "2", "1", 'until="1" is before since="2"'),
        (["1", "2"], "3", None, 'since="3" is no version of the service'),
        (["1", "2"], "v1", "9", 'since="v1", until="9" is no version of the service'),
        ([], "1", None, 'since="1" is no version of the service'),
        ([Version("1", ended=True), "2"], None, "1", 'until="1" has ended: nothing serves it'),
    ],
)
def test_a_range_that_cannot_be(versions: Given, since: str | None, until: str | None, message: str) -> None:
    assert faults(versions, (since, until)) == [message]


def test_a_resource_has_a_range_too() -> None:
    module = Module("m")
    module.resource(Leaf, path="/leaves", read=anyone, until="1")
    module.resource(Leaf, path="/leaves", read=anyone, since="2")
    assert not check_service(Service("s", modules=[module], versions=["1", "2"])).faults
    other = Module("m")
    other.resource(Leaf, path="/leaves", read=anyone, since="7")
    (fault,) = check_service(Service("s", modules=[other], versions=["1", "2"])).faults
    assert (fault.subject, fault.message) == ("resource /leaves", 'since="7" is no version of the service')
    assert fault.source.file == __file__


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        (["v1"], '"v1" is no version'),
        (["1/2"], '"1/2" is no version'),
        ([""], '"" is no version'),
        (["1", "1"], '"1" is named twice'),
        ([Version("1", ended=True)], "all have ended"),
        (["1", Version("2", ended=True)], '"2" has ended, and an older one has not'),
        ([Version("1", sunset=date(2027, 1, 1)), "2"], "sunset= is for what is deprecated="),
        ([Version("1", deprecated=date(2027, 1, 1), sunset=date(2026, 1, 1)), "2"], "sunset= is before deprecated="),
        ([Version("1", deprecated=datetime(2027, 1, 1)), "2"], "a time has a zone"),  # noqa: DTZ001 - the mistake
    ],
)
def test_versions_that_cannot_be(versions: Given, message: str) -> None:
    (told,) = faults(versions, (None, None))
    assert message in told


def test_versions_that_can() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert faults(["2026-01-01", Version("2026-06-01", deprecated=since), "2.1", "3beta"], ("2.1", None)) == []
