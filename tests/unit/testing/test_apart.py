"""Two callers, examined: a sound service passes, and each hole of a leaky one is found and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaky_service import leaky_service, sound_service

from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.principal import Principal
from mainstay.testing.apart import Report, examine, examine_bodies
from mainstay.testing.client import Client
from mainstay.testing.fixed import FixedClock
from mainstay.testing.people import as_principal


def person(name: str, tenant: str) -> Principal:
    return as_principal(name, tenant=tenant)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_sound_service_keeps_two_people_apart(kind: str, tmp_path: Path) -> None:
    clock = FixedClock()
    file = SqliteStore(tmp_path / "a.sqlite3", create=True, synchronous="off", clock=clock.monotonic)
    store = file if kind == "sqlite" else None
    async with Client(sound_service(), store=store, clock=clock) as client:
        report = await examine(client, person("ann", "acme"), person("bob", "globex"))
    report.check()
    assert report.unasked == {}
    assert set(report.operations) == {
        *(f"{verb}_diary" for verb in ("get", "create", "update", "delete")),
        *(f"{verb}_letter" for verb in ("get", "create", "update")),
        "list_diaries",
        "list_letters",
    }
    assert min(report.operations.values()) > 1
    assert report.operations["create_letter"] > report.operations["create_diary"]  # values of another tenant's rows


@pytest.mark.parametrize(
    ("hole", "operation", "problem"),
    [
        ("read", "get_title", "the answer shows a row of Diary"),
        ("read", "get_title", "a hidden row is told from none (200, 404)"),
        ("list", "list_all", "a search finds hidden rows"),
        ("count", "list_counted", "a count counts hidden rows"),
        ("page", "list_paged", "there is a next page, and nothing to see on it"),
        ("change", "set_mood", "hidden rows were changed"),
        ("delete", "tear", "hidden rows were changed"),
        ("tell", "exists", "a hidden row is told from none (404, 404)"),
        ("show", "get_mood", "the answer shows a masked field of Diary"),
    ],
)
async def test_each_hole_is_found(hole: str, operation: str, problem: str) -> None:
    async with Client(leaky_service(hole)) as client:
        report = await examine(client, person("ann", "acme"), person("bob", "acme"))
    assert any(found.operation == operation and problem in found.problem for found in report.findings), report.findings
    assert {found.operation for found in report.findings} == {operation}
    with pytest.raises(AssertionError, match=operation):
        report.check()


async def test_what_is_skipped_is_not_tried() -> None:
    async with Client(leaky_service("delete")) as client:
        report = await examine(client, person("ann", "acme"), person("bob", "acme"), skip=["tear"])
    report.check()
    assert "tear" not in report.operations


async def test_no_body_of_a_sound_service_sets_what_is_not_its_own() -> None:
    async with Client(sound_service()) as client:
        report = await examine_bodies(client, person("ann", "acme"))
    report.check()
    assert report.unasked == {}
    assert set(report.operations) == {"create_diary", "update_diary", "create_letter", "update_letter"}


def test_nothing_tried_is_nothing_shown() -> None:
    with pytest.raises(AssertionError, match="no operation was tried"):
        Report(findings=[], operations={}, unasked={}).check()
