"""Finding the service, and saying in plain words where the team's code stands in the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstay.app.importing import import_service
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings, load

GOOD = """
from mainstay import Module, Service, anyone
one, two = Module("one"), Module("two")

@one.query("GET /one", allow=anyone)
async def first() -> str:
    return "1"

@two.query("GET /two", allow=anyone)
async def second() -> str:
    return "2"

@two.on("one.Told")
async def hear() -> None: ...

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


def test_one_module_alone_has_no_consumers_of_what_nobody_tells(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, GOOD)
    (module,) = import_service(settings, module="two").modules
    assert [operation.name for operation in module.operations] == ["second"]
    assert [operation.name for operation in import_service(settings).modules[1].operations] == ["second", "hear"]
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
