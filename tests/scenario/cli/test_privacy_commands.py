"""``mainstay privacy`` on a project: a person exported, forgotten, and the key of encrypted fields changed."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zipfile import ZipFile

import pytest
from clinic_service import SERVICE, Bill, Letter, Patient

from mainstay.app.assembly import Application, assemble
from mainstay.app.objects import make_blobs
from mainstay.app.settings import load
from mainstay.cli import entry
from mainstay.testing import Recorder
from mainstay.testing.backstage import Backstage

OLD, NEW = "a key of fields that only tests know, one", "a key of fields that only tests know, two"
ANN = UUID(int=0xA22 << 64 | 0x7 << 76 | 0x8 << 60)
MARK = "mark-of-ann"


class Project:
    """A folder with a service on SQLite, and the command line on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.configure(OLD)

    def configure(self, key: str, previous: str = "") -> None:
        told = f'previous = ["{previous}"]' if previous else ""
        (self.folder / "mainstay.toml").write_text(
            'service = "clinic_service:SERVICE"\ndatabase.url = "sqlite:///clinic.sqlite"\ndatabase.create = true\n'
            f'blobs.url = "file:///objects"\n[encryption]\nkey = "{key}"\n{told}\n'
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        code = entry.run(["privacy", *words, "-C", str(self.folder), "--profile", "test"])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def within(self, work: Callable[[Application, Backstage], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            settings = load(self.folder, environ={"MAINSTAY_PROFILE": "test"})
            application = assemble(SERVICE, settings, observer=Recorder())
            bound, ports = application.bound, application.ports
            await application.start(deliver=False)
            try:
                return await work(
                    application, Backstage(ports.store, bound.plans, ports.clock, ports.ids, ports.sealer)
                )
            finally:
                await application.stop()

        return asyncio.run(run())


async def _fill(application: Application, stage: Backstage) -> None:
    blobs = make_blobs(application.settings, application.ports.clock)
    assert blobs is not None
    await blobs.put("photos/ann.jpg", b"a face")
    await stage.given(Patient(id=ANN, name=MARK, history=f"{MARK} history", photo="photos/ann.jpg"))
    await stage.given(Letter(patient_id=ANN, text=MARK), Bill(patient_id=ANN, amount=Decimal("1.5")))


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    made = Project(tmp_path, capsys)
    made.within(_fill)
    return made


def test_an_export_goes_to_the_output_or_into_a_file(project: Project) -> None:
    code, out, _ = project.run("export", str(ANN))
    found = json.loads(out)
    assert (code, found["form"], found["objects"]) == (0, "mainstay.person/1", ["photos/ann.jpg"])
    assert f"{MARK} history" in out
    path = project.folder / "ann.json"
    code, out, _ = project.run("export", str(ANN), "--output", str(path))
    assert (code, "wrote 3 rows" in out) == (0, True)
    assert json.loads(path.read_text())["entities"] == found["entities"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    code, _, err = project.run("export", str(ANN), "--output", str(path))
    assert (code, "is there already" in err) == (1, True)


def test_an_archive_holds_the_objects(project: Project) -> None:
    path = project.folder / "ann.zip"
    code, out, _ = project.run("export", str(ANN), "--output", str(path), "--format", "json")
    assert (code, json.loads(out)["rows"]) == (0, 3)
    with ZipFile(path) as archive:
        assert archive.namelist() == ["person.json", "objects/0001.jpg"]
        assert archive.read("objects/0001.jpg") == b"a face"
        assert json.loads(archive.read("person.json"))["person"] == str(ANN)
    assert sorted(each.name for each in project.folder.iterdir() if each.name.startswith(".ann")) == []


def test_an_erasure_says_what_it_does_and_does_it(project: Project) -> None:
    code, out, _ = project.run("erase", str(ANN), "--dry-run")
    assert code == 0
    assert out.startswith("nothing was changed")
    assert MARK in (project.folder / "clinic.sqlite").read_bytes().decode(errors="replace")
    code, out, _ = project.run("erase", str(ANN))
    told = [line.split() for line in out.splitlines()]
    assert ["clinic.Patient", "emptied", "1"] in told
    assert ["clinic.Letter", "deleted", "1"] in told
    assert ["clinic.Bill", "kept", "1", "tax", "law,", "10", "years"] in told
    assert "1 objects deleted" in out
    code, out, _ = project.run("erase", str(ANN), "--format", "json")
    assert (code, json.loads(out)["entries_deleted"]) == (0, 0)
    assert not list((project.folder / "objects").rglob("*.jpg"))
    code, out, _ = project.run("erase", str(UUID(int=9)))
    assert (code, out) == (0, "no row is of this person\n")


def test_a_key_is_changed(project: Project) -> None:
    project.configure(NEW, OLD)
    code, out, _ = project.run("rotate", "--dry-run")
    assert (code, "Patient" in out) == (0, True)
    code, out, _ = project.run("rotate", "--format", "json")
    (patient,) = [each for each in json.loads(out)["entities"] if each["entity"] == "Patient"]
    assert (code, patient["changed"], patient["failed"]) == (0, 1, 0)
    project.configure(NEW)

    async def read(_: Application, stage: Backstage) -> list[Patient]:
        return await stage.stored(Patient)

    (row,) = project.within(read)
    assert row.history == f"{MARK} history"
    project.configure("a key that never was there, for tests only")
    code, out, _ = project.run("rotate")
    assert code == 1
    assert f"does not open: Patient.history of {ANN}" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "ann"), "'ann' is no UUID"),
        (("erase", "1"), "'1' is no UUID"),
        (("export", str(ANN), "--output", "ann.txt"), "it ends in .json or .zip"),
        ((), "ACTION"),
    ],
)
def test_what_cannot_be_meant_is_refused(project: Project, words: tuple[str, ...], told: str) -> None:
    code, _, err = project.run(*words)
    assert (code, told in err) == (2, True)


def test_a_store_that_forgets_has_nothing(project: Project) -> None:
    path = project.folder / "mainstay.toml"
    path.write_text(
        path.read_text().replace("sqlite:///clinic.sqlite", "memory:").replace("database.create = true", "")
    )
    code, _, err = project.run("erase", str(ANN))
    assert (code, "forgets" in err) == (1, True)
