"""Finding the service, and saying in plain words where the team's code stands in the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mainstay.app.checking import inspect
from mainstay.app.documents import documents_of
from mainstay.app.importing import import_service
from mainstay.app.refusal import Refusal
from mainstay.app.served import served
from mainstay.app.settings import Settings, load

GOOD = """
from mainstay import Event, Module, Service, anyone
one, two = Module("one"), Module("two")

class Told(Event):
    pass

@one.query("GET /one", allow=anyone)
async def first() -> str:
    return "1"

@two.query("GET /two", allow=anyone)
async def second() -> str:
    return "2"

@two.on("one.Told")
async def hear(event: Told) -> None: ...

shop = Service("shop", modules=[one, two])
number = 3
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Importing changes the interpreter: put it back."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("team_service", None)


def settings_of(folder: Path, code: str, service: str = "team_service:shop") -> Settings:
    (folder / "team_service.py").write_text(code)
    return load(folder, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_SERVICE": service})


def refusal(settings: Settings, module: str | None = None) -> str:
    with pytest.raises(Refusal) as refused:
        import_service(settings, module=module)
    return "\n".join([refused.value.message, *refused.value.remedies])


def test_it_is_found_beside_the_settings(tmp_path: Path) -> None:
    service = import_service(settings_of(tmp_path, GOOD))
    assert [module.name for module in service.modules] == ["one", "two"]


def test_it_is_found_in_src(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    settings_of(tmp_path / "src", GOOD)
    settings = load(tmp_path, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_SERVICE": "team_service:shop"})
    assert import_service(settings).name == "shop"


def test_one_module_is_served_alone_and_keeps_its_neighbours(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, GOOD)
    service = import_service(settings, module="two")
    bound = inspect(service)
    assert [one.name for one in served(bound)] == ["second"]
    contract = msgspec.json.decode(documents_of(bound)["/openapi.json"].body)
    assert list(contract["paths"]) == ["/two"]
    assert [one.name for one in bound.consumers["one.Told"]] == ["hear"]  # else what one tells would be lost
    assert len(served(inspect(import_service(settings)))) == 2
    assert "it has one, two" in refusal(settings, module="three")


def test_nothing_is_named(tmp_path: Path) -> None:
    assert "MAINSTAY_SERVICE" in refusal(load(tmp_path, environ={"MAINSTAY_PROFILE": "test"}))


@pytest.mark.parametrize(
    ("code", "service", "told"),
    [
        (GOOD, "no_such_module:shop", "there is no module no_such_module"),
        (GOOD, "team_service:shap", "shap is not there"),
        (GOOD, "team_service:number", "number is a int, not a Service"),
        ("x = (\n", "team_service:shop", "team_service.py:1: '(' was never closed"),
        ("import no_such_package\n", "team_service:shop", "team_service.py:1: ModuleNotFoundError"),
        ("\n\nprice = int('x')\n", "team_service:shop", "team_service.py:3: ValueError"),
        ("import sys\n\nsys.exit(3)\n", "team_service:shop", "team_service.py:3: SystemExit: 3"),
        ("from mainstay import Module\nModule('not a name')\n", "team_service:shop", "team_service.py:2: ValueError"),
    ],
)
def test_what_stands_in_the_way_is_told_with_its_place(tmp_path: Path, code: str, service: str, told: str) -> None:
    assert told in refusal(settings_of(tmp_path, code, service))
