"""``mainstay deliver``: schemas of events are kept, compared and written; and ``check`` looks at them too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mainstay.app.assembly import assemble
from mainstay.app.importing import import_service
from mainstay.app.settings import load
from mainstay.cli import main
from mainstay.model.faults import StartupFailed
from mainstay.ports.observer import Notice, Observation, Observer

SERVICE = """
from mainstay import Event, Events, Module, Service, anyone
desk = Module("desk")

class Noted(Event):
    text: str

@desk.command("POST /notes", allow=anyone)
async def note(events: Events) -> None:
    events.emit(Noted(text="x"))

team = Service("team", modules=[desk])
"""
ADDED = SERVICE.replace("text: str", 'text: str\n    more: str = ""')
BROKEN = SERVICE.replace("text: str", "text: int")
KEPT = "contracts/events/desk.Noted.1.json"

Declare = Callable[[str], None]


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[Notice] = []

    def observe(self, observation: Observation) -> None:
        if isinstance(observation, Notice):
            self.heard.append(observation)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAINSTAY_PROFILE", "test")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mainstay.toml").write_text('service = "delivered_service:team"\n')
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("delivered_service", None)


@pytest.fixture
def declare(project: Path) -> Declare:
    def write(code: str) -> None:
        sys.modules.pop("delivered_service", None)
        (project / "delivered_service.py").write_text(code)

    write(SERVICE)
    return write


def test_schemas_are_written_once(declare: Declare, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deliver", "events"]) == 0
    assert capsys.readouterr().out == f"desk.Noted version 1: new\nwrote {KEPT}\n"
    assert json.loads((project / KEPT).read_text())["title"] == "desk.Noted"
    assert main(["deliver", "events"]) == 0
    assert capsys.readouterr().out == "the schemas of all events are as they are kept\n"
    assert main(["deliver", "events", "--check"]) == 0


def test_an_addition_is_written(declare: Declare, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["deliver", "events"])
    declare(ADDED)
    capsys.readouterr()
    assert main(["check"]) == 0
    assert "desk.Noted: version 1 is not kept as it is declared (write it with: mainstay deliver" in (
        capsys.readouterr().out
    )
    assert main(["deliver", "events", "--check"]) == 1
    assert main(["deliver", "events"]) == 0
    assert "  + /more  string, optional\n" in capsys.readouterr().out
    assert "more" in json.loads((project / KEPT).read_text())["properties"]


def test_a_breaking_change_is_refused(declare: Declare, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["deliver", "events"])
    kept = (project / KEPT).read_bytes()
    declare(BROKEN)
    capsys.readouterr()
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "delivered_service.py:5: desk.Noted: version 1 was changed: /text: its type is integer and was string" in out
    assert "@desk.upcast(Noted, 1)" in out
    assert main(["deliver", "events"]) == 1
    out = capsys.readouterr().out
    assert "  ~ /text  string, required -> integer, required\n      breaking: /text: its type is" in out
    assert (project / KEPT).read_bytes() == kept


def test_a_diff_writes_nothing_and_is_no_fault(
    declare: Declare, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deliver", "events", "--diff", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == {
        "events": [{"event": "desk.Noted", "new": True, "places": [], "version": 1}],
        "faults": [],
        "written": [],
    }
    assert not (project / "contracts").exists()
    main(["deliver", "events"])
    declare(BROKEN)
    capsys.readouterr()
    assert main(["deliver", "events", "--diff", "--format", "json"]) == 0
    (place,) = json.loads(capsys.readouterr().out)["events"][0]["places"]
    assert (place["where"], place["before"], place["now"]) == ("/text", "string, required", "integer, required")
    assert len(place["breaking"]) == 2


def test_the_folder_and_the_mode_are_settings(declare: Declare, project: Path) -> None:
    toml = project / "mainstay.toml"
    toml.write_text(toml.read_text() + '[contracts]\nevents = "kept"\ncompatibility = "none"\n')
    assert main(["deliver", "events"]) == 0
    assert (project / "kept" / "desk.Noted.1.json").exists()
    declare(BROKEN)
    assert main(["deliver", "events"]) == 0


def test_a_file_that_is_no_schema_is_told(declare: Declare, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["deliver", "events"])
    (project / KEPT).write_text("{")
    for argv in (["check"], ["deliver", "events"]):
        assert main(argv) == 1
        err = capsys.readouterr().err
        assert "desk.Noted.1.json: it is no JSON object" in err
        assert "delete it and write it anew with: mainstay deliver events" in err


def test_faults_of_declarations_come_first(declare: Declare, capsys: pytest.CaptureFixture[str]) -> None:
    declare(SERVICE.replace(", allow=anyone", ""))
    assert main(["deliver", "events"]) == 1
    assert "note: it has no allow=" in capsys.readouterr().err


def test_the_asyncapi_document_is_printed_or_written(
    declare: Declare, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deliver", "asyncapi"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["asyncapi"] == "3.0.0"
    assert main(["deliver", "asyncapi", "--output", "events.json"]) == 0
    assert (project / "events.json").read_text() == printed


def start(project: Path, profile: str, ear: Ear) -> None:
    flags = {"database.url": "sqlite:///data.sqlite", "sealing.secret": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"}
    settings = load(project, profile=profile, flags=flags)
    assemble(import_service(settings), settings, observer=ear)


@pytest.mark.parametrize("profile", ["production", "test"])
def test_what_breaks_its_readers_does_not_start(declare: Declare, project: Path, profile: str) -> None:
    main(["deliver", "events"])
    declare(BROKEN)
    with pytest.raises(StartupFailed, match=r"desk\.Noted: version 1 was changed: /text"):
        start(project, profile, Ear())


def test_development_is_warned_and_starts(declare: Declare, project: Path) -> None:
    main(["deliver", "events"])
    declare(BROKEN)
    ear = Ear()
    start(project, "development", ear)
    found = [(notice.level, notice.facts["subject"]) for notice in ear.heard if notice.event == "event_contract"]
    assert found == [("warning", "desk.Noted")] * 2


def test_what_fits_starts_without_a_word(declare: Declare, project: Path) -> None:
    main(["deliver", "events"])
    declare(ADDED)
    ear = Ear()
    start(project, "development", ear)
    assert [notice for notice in ear.heard if notice.event == "event_contract"] == []
