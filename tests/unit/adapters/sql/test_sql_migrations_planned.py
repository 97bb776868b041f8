"""Migrations are planned from the model's difference: up and down, readable, and with every value in its place."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import sql_samples
from sql_samples import TABLES, Colour, Maker, table
from sql_shop import Shop, entity, insert, thing

from mainstay.adapters.sql.migrations import MigrationFault, migrate, rollback, status
from mainstay.adapters.sql.migrations.files import read_chain
from mainstay.model.fields import field


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_plan_is_the_same_text_on_every_run(shop: Shop) -> None:
    shop.plan(*TABLES)
    code = (
        "import sys; from pathlib import Path; from sql_samples import *\n"
        "from mainstay.adapters.sql.migrations import plan\n"
        "class Maker(Entity):\n    title: str = ''\n    rank: int = 0\n    colour: Colour = Colour.RED\n"
        "for each in plan(Path(sys.argv[1]), [table(Maker)], preview=True).revisions: print(each.text)"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, str(shop.files)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(sql_samples.__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
    assert "drop_table" in texts.pop()
    assert len(list(shop.files.glob("*.py"))) == 1  # a preview writes nothing


def test_a_planned_file_is_named_by_what_it_does_and_passes_a_formatter(shop: Shop) -> None:
    first = shop.change(thing(name=(str, "")))
    second = shop.change(thing(name=(str, ""), size=(int, 5)))
    third = shop.plan(
        thing(name=(str, ""), size=(int, 5)), entity("Other"), message="Other things, too long for a name"
    )
    assert third is not None
    assert [each.name for p in (first, second, third) for each in p.revisions] == [
        "0001_initial_schema",
        "0002_add_thing_size",
        "0003_other_things_too_long_for_a",
    ]
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "120", str(shop.files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_adding_and_taking_back_keeps_the_rows(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    insert(shop, "thing", name="a")
    before = shop.schema()
    shop.change(
        thing(name=(str, ""), size=(int, 5), note=(str | None, None), tags=(list[str], field(default_factory=list)))
    )
    assert shop.sql("SELECT name, size, note, tags FROM thing") == [("a", 5, None, "[]")]
    assert rollback(shop.target, shop.files) == ["0002_add_thing_size_note_tags"]
    assert shop.sql("SELECT name FROM thing") == [("a",)]
    assert shop.schema() == before
    assert rollback(shop.target, shop.files) == ["0001_initial_schema"]
    assert [text for text in shop.schema() if "thing" in text] == []


def test_dropping_warns_and_what_comes_back_is_empty(shop: Shop) -> None:
    wide = thing(name=(str, ""), size=(int, 5), price=(Decimal, field(digits=9, places=2)), ref=(UUID | None, None))
    shop.change(wide, entity("Other"))
    insert(shop, "thing", name="a", size=5, price=100)
    planned = shop.change(thing(title=(str, "")))
    assert "the column thing.price is dropped with all its values" in planned.warnings
    assert "the table other is dropped with all its rows" in planned.warnings
    for each in planned.revisions:
        comments = " ".join(line.strip(" #") for line in each.text.splitlines() if line.startswith("    #"))
        assert comments == " ".join(f"REVIEW: {warning}" for warning in each.warnings)
    rollback(shop.target, shop.files, len(planned.revisions))
    assert shop.sql("SELECT name, size, price, ref FROM thing") == [("", 0, 0, None)]
    assert shop.sql("SELECT count(*) FROM other") == [(0,)]
    assert status(shop.target, shop.files, [wide, entity("Other")]).current == "0001_initial_schema"


def test_a_field_without_a_value_for_old_rows_is_refused_by_name(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    with pytest.raises(MigrationFault) as raised:
        shop.plan(thing(name=(str, ""), size=(int, field()), when=(UUID, field())))
    assert "thing.size is new" in str(raised.value)
    assert "thing.when is new" in str(raised.value)
    assert len(read_chain(shop.files)) == 1


CHANGES: list[tuple[Any, Any, Any, Any, Any]] = [
    (Decimal, field(digits=9, places=2), 1050, field(digits=12, places=4), 105000),
    (Decimal, field(digits=12, places=4), 105000, field(digits=9, places=2), 1050),
    (int, field(), 7, (Decimal, field(digits=9, places=2)), 700),
    (Decimal, field(digits=9, places=2), 700, (int, field()), 7),
    (int, field(), 7, (str, field()), "7"),
    (int, field(), 7, (float, field()), 7.0),
    (str, field(), 'a"b', (list[str], field()), '"a\\"b"'),
    (str, field(), str(UUID(int=1)), (UUID, field()), str(UUID(int=1))),
    (int, field(), 1, (bool, field()), 1),
    (str, field(), "red", (Colour, field()), "red"),
]


@pytest.mark.parametrize(("kind", "spec", "stored", "then", "expected"), CHANGES)
def test_a_change_of_type_brings_values_over(
    shop: Shop, kind: Any, spec: Any, stored: Any, then: Any, expected: Any
) -> None:
    shop.change(thing(it=(kind, spec)))
    insert(shop, "thing", it=stored)
    wanted = then if isinstance(then, tuple) else (kind, then)
    planned = shop.plan(thing(it=wanted))
    if planned is not None:
        migrate(shop.target, shop.files)
    assert (planned is None) == (then == (Colour, field()))  # an enum is text: there is nothing to do
    [(found,)] = shop.sql("SELECT it FROM thing")
    assert (found, type(found)) == (expected, type(expected))
    assert status(shop.target, shop.files, [thing(it=wanted)]).drift == ()


def test_a_change_of_type_that_could_lose_values_is_refused(shop: Shop) -> None:
    shop.change(thing(it=(str, "")))
    with pytest.raises(MigrationFault, match=r"thing\.it cannot be changed from text to integer"):
        shop.plan(thing(it=(int, 0)))


def test_bounds_need_no_migration(shop: Shop) -> None:
    shop.change(
        thing(name=(str, field(max_length=10)), size=(int, field(ge=0)), price=(Decimal, field(digits=9, places=2)))
    )
    wider = {
        "name": (str, field(max_length=20)),
        "size": (int, field(ge=5)),
        "price": (Decimal, field(digits=12, places=2)),
    }
    assert shop.plan(thing(**wider)) is None


def test_a_field_that_may_be_null_no_more_gets_its_default(shop: Shop) -> None:
    shop.change(thing(note=(str | None, None)))
    insert(shop, "thing")
    with pytest.raises(MigrationFault, match=r"thing\.note may be null"):
        shop.plan(thing(note=(str, field())))
    planned = shop.change(thing(note=(str, "it's")))
    assert planned.warnings == ("thing.note: rows without a value get the field's default",)
    assert shop.sql("SELECT note FROM thing") == [("it's",)]
    rollback(shop.target, shop.files, len(planned.revisions))
    insert(shop, "thing", id="2")
    assert sorted(shop.sql("SELECT note FROM thing"), key=str) == [("it's",), (None,)]


@pytest.mark.parametrize("name", ["part", "a_table_with_quite_a_long_name_of_its_own", "x" * 70])
def test_no_line_of_a_file_is_too_long_for_a_formatter(shop: Shop, name: str) -> None:
    referring = entity(
        "Referring",
        **{f"maker_{name[:40]}": (UUID, field(references=Maker)), "note": (str | None, field(default=None))},
    )
    shop.change(table(Maker), msgspec.structs.replace(referring, name=name))
    fewer = entity("Referring", other=(int, field(default=0, unique=True)))
    shop.change(table(Maker), msgspec.structs.replace(fewer, name=name))
    rollback(shop.target, shop.files)
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--diff", "--line-length", "120", str(shop.files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
