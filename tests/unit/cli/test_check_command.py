"""``mainstay check``: what hides the service is told, what only running needs is not asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstay.app import reserved
from mainstay.app.checking import inspect
from mainstay.app.documents import documents_of
from mainstay.cli import main
from mainstay.model.module import Module
from mainstay.model.service import Service

SERVICE = """
from mainstay import Module, RawBody, Service, anyone, signed
desk = Module("desk")

@desk.command("POST /hooks", allow=signed("standard-webhooks", secret="hook"))
async def hear(body: RawBody) -> None: ...

team = Service("team", modules=[desk])
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAINSTAY_PROFILE", raising=False)
    (tmp_path / "checked_service.py").write_text(SERVICE)
    (tmp_path / "mainstay.toml").write_text('service = "checked_service:team"\n')
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("checked_service", None)


def test_secrets_are_a_matter_of_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert "nothing to be mended" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("toml", "argv", "told"),
    [
        (b"service = \n", [], "mainstay.toml): this is no TOML"),
        (b"\xff", [], "mainstay.toml): it is not UTF-8 text"),
        (b'service = "team"\n', [], "service (mainstay.toml:service): expected MODULE:NAME"),
        (b'service = "checked_service:team"\n', ["--profile", "prod"], "profile (--profile): there is no such profile"),
    ],
)
def test_what_hides_the_service_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], toml: bytes, argv: list[str], told: str
) -> None:
    (project / "mainstay.toml").write_bytes(toml)
    assert main(["check", *argv]) == 1
    assert told in capsys.readouterr().err


def test_a_route_of_the_services_own_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = SERVICE.replace(
        "team =", '@desk.query("GET /health", allow=anyone)\nasync def well() -> None: ...\n\nteam ='
    )
    (project / "checked_service.py").write_text(code)
    assert main(["check"]) == 1
    assert "checked_service.py:8: well: GET /health is served by every service" in capsys.readouterr().out


def test_every_document_has_a_reserved_path() -> None:
    documents = documents_of(inspect(Service("empty", modules=[Module("none")])))
    assert [path for path in documents if not reserved.is_reserved(path)] == []


OWNED = """
from uuid import UUID
from mainstay import Entity, Module, Service, authenticated, field, owner, person
desk = Module("desk")

class Customer(Entity, person="id"):
    name: str = field(personal=True)

class Order(Entity, rows=owner("customer_id")):
    customer_id: UUID

class Invoice(Entity):
    customer_id: UUID = field(references=Customer)

class Note(Entity, rows=owner("customer_id"), person="customer_id"):
    customer_id: UUID = field(references=Customer)

desk.resource(Order, path="/orders", read=authenticated)
desk.resource(Invoice, path="/invoices", read=authenticated)
desk.resource(Note, path="/notes", read=authenticated)
desk.entity(Customer)
team = Service("team", modules=[desk])
"""


def test_rows_of_persons_that_do_not_say_so_are_a_warning(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "checked_service.py").write_text(OWNED)
    assert main(["check"]) == 0
    fine, *warnings = capsys.readouterr().out.splitlines()
    assert "nothing to be mended" in fine
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: ")
    assert "Order: its rows have an owner, customer_id" in warnings[0]
    assert "Invoice: customer_id keeps a Customer from being deleted with its person" in warnings[1]
    assert main(["check", "--format", "json"]) == 0
    assert '"subject": "Order"' in capsys.readouterr().out
