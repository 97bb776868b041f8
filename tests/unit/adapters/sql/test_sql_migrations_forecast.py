"""A plan says what each step locks, costs, breaks and loses, and which rows are in its way, on both kinds."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import postgres_shop
import pytest
import sql_shop
from postgres_schemas import drop_schema
from sql_samples import Colour, Rank
from sql_shop import entity, thing

from mainstay.adapters.sql.migrations import migrate, plan
from mainstay.adapters.sql.migrations.forecast import Effect, Outlook, forecast
from mainstay.adapters.sql.migrations.judging import manner
from mainstay.adapters.sql.migrations.measuring import Breach
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget
from mainstay.adapters.sql.migrations.recording import Note
from mainstay.adapters.sql.types import Uuid
from mainstay.model.fields import field
from mainstay.ports.store import Table

OWNER = entity("Owner", name=(str, ""))


class Database:
    """One of both kinds, with the files of its migrations."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.shop: Any = sql_shop.Shop(folder) if kind == "sqlite" else postgres_shop.Shop(folder)
        self.files: Path = self.shop.files

    def change(self, *tables: Table) -> None:
        self.shop.change(*tables)

    def insert(self, number: int, **values: Any) -> str:
        identity = UUID(int=number)
        if self.kind == "sqlite":
            stored = {n: str(v) if isinstance(v, UUID) else v for n, v in values.items()}
            sql_shop.insert(self.shop, "thing", id=str(identity), **stored)
        else:
            self.shop.insert(id=identity, **values)
        return str(identity)

    def told(self, *tables: Table, **given: Any) -> Outlook:
        planned = plan(self.files, tables, preview=True, **given)
        texts = [] if planned is None else [(each.name, each.text) for each in planned.revisions]
        return forecast(self.shop.target, self.files, texts, tables)

    def effects(self, *tables: Table, **given: Any) -> dict[str, Effect]:
        return {effect.step: effect for each in self.told(*tables, **given).forecasts for effect in each.effects}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield Database(tmp_path, request.param)
    if request.param == "postgresql":
        drop_schema(tmp_path)


def test_rows_that_break_a_new_rule_are_counted_and_told_by_their_ids(database: Database) -> None:
    database.change(OWNER, thing(code=(str, field()), owner_id=(UUID | None, None), note=(str | None, None)))
    first = database.insert(1, code="secret", owner_id=UUID(int=77))
    second = database.insert(2, code="secret", owner_id=None, note="x")
    database.insert(3, code="other", owner_id=None)
    effects = database.effects(
        OWNER,
        thing(
            code=(str, field(unique=True)),
            owner_id=(UUID | None, field(default=None, references=OWNER.shape.type)),
            note=(str, "none"),
        ),
    )
    unique = effects["keep thing.code unique (uq_thing_code)"]
    assert unique.breach is not None
    assert (unique.breach.rows, set(unique.breach.ids)) == (2, {first, second})
    assert unique.verdict == ("", "it may write a value that is there already")
    reference = effects["keep thing.owner_id referring to owner (fk_thing_owner_id)"]
    assert reference.breach == Breach("they refer to rows that are not in owner", 1, (first,))
    null = effects["let thing.note be null no more"]
    assert null.breach is None  # they are filled before
    assert null.size is not None
    assert (null.size.rows, null.size.exact) == (3, True)
    assert null.size.bytes is not None
    assert "secret" not in str(effects)


def test_null_that_nothing_fills_breaks(database: Database) -> None:
    database.change(thing(note=(str | None, None)))
    database.insert(1, note=None)
    (database.files / "0002_own.py").write_text(
        'from alembic import op\nrevision = "0002_own"\ndown_revision = "0001_initial_schema"\nphase = "contract"\n'
        'def upgrade() -> None:\n    op.execute("SELECT 1")\n'
        '    with op.batch_alter_table("thing") as batch_op:\n'
        '        batch_op.create_check_constraint("ck_thing", "length(note) < 3")\n'
        '        batch_op.alter_column("note", nullable=False)\n'
        '    op.rename_table("thing", "other")\n'
    )
    effects = database.effects(thing(note=(str | None, None)))
    found = effects["let thing.note be null no more"].breach
    assert found is not None
    assert (found.why, found.rows) == ("they hold no value", 1)
    assert effects["run SELECT 1"].verdict == ("not known: read the statement", "not known: read the statement")
    assert effects["check the rows of thing (ck_thing)"].breach is None
    assert not effects["rename the table thing to other"].safe


TYPES: list[tuple[Any, Any, Any, Any, Any, str, bool]] = [
    ((Decimal, field(digits=9, places=4)), Decimal("1.2345"), 12345, Decimal("1.23"), 12300, "digits of", False),
    ((str, field()), "no uuid", None, str(UUID(int=1)), None, "their value is no uuid", True),
    ((int, field()), 7, None, 1, None, "their value is no boolean", False),
]
AFTER: list[Any] = [(Decimal, field(digits=9, places=2)), (UUID, field()), (bool, field())]


@pytest.mark.parametrize(("case", "after"), list(zip(TYPES, AFTER, strict=True)))
def test_values_that_another_type_does_not_hold_are_counted(database: Database, case: Any, after: Any) -> None:
    before, bad, bad_stored, good, good_stored, why, stops = case
    database.change(thing(it=before))
    lite = database.kind == "sqlite"
    identity = database.insert(1, it=bad_stored if lite and bad_stored is not None else bad)
    database.insert(2, it=good_stored if lite and good_stored is not None else good)
    effect = database.effects(thing(it=after))["change the type of thing.it"]
    assert effect.breach is not None
    assert (effect.breach.rows, effect.breach.ids, effect.breach.stops) == (1, (identity,), stops)
    assert why in effect.breach.why
    assert not effect.safe


def test_a_unique_column_with_one_default_for_all_breaks_where_there_are_several_rows(database: Database) -> None:
    database.change(thing())
    wanted = thing(code=(str, field(default="", unique=True)))
    database.insert(1)
    assert database.effects(wanted)["keep thing.code unique (uq_thing_code)"].breach is None
    database.insert(2)
    found = database.effects(wanted)["keep thing.code unique (uq_thing_code)"].breach
    assert found == Breach("they all get the same default", 2)


def test_what_a_step_locks_and_costs_is_that_of_the_database(database: Database) -> None:
    database.change(thing(name=(str, ""), size=(int, field())))
    database.insert(1, name="a", size=1)
    effects = database.effects(thing(name=(str, field(default="", index=True)), note=(str | None, None)))
    index, column = effects["build the index ix_thing_name on thing"], effects["add the column thing.note"]
    gone = effects["drop the column thing.size"]
    if database.kind == "sqlite":
        assert index.manner == ("the whole file for writers", "index build")
        assert (column.manner.work, gone.manner.work) == ("instant", "rewrite")
    else:
        assert index.manner == ("SHARE UPDATE EXCLUSIVE on thing: reads and writes go on", "index build")
        assert column.manner == gone.manner == ("ACCESS EXCLUSIVE on thing for an instant", "instant")
    assert column.safe
    assert index.safe
    assert gone.verdict == ("it names what is gone", "it names what is gone")


def test_what_is_lost_is_told_for_both_ways(database: Database) -> None:
    database.change(OWNER, thing(size=(int, field())))
    outlook = database.told(thing(name=(str, "")))
    expand, contract = outlook.forecasts
    assert (expand.phase, expand.loses, expand.loses_back) == ("expand", (), ("the values of thing.name",))
    assert contract.loses == ("the values of thing.size", "the rows of owner")
    assert expand.safe
    assert not contract.safe


def test_a_rename_loses_nothing(database: Database) -> None:
    database.change(thing(title=(str, field())))
    outlook = database.told(thing(name=(str, field())), renames=["thing.title=name"])
    assert [(each.loses, each.loses_back, each.safe) for each in outlook.forecasts] == [
        ((), (), True),
        ((), (), False),
    ]


def test_what_is_pending_is_told_with_what_is_planned(database: Database) -> None:
    database.change(thing())
    plan(database.files, [thing(size=(int, 5))])
    outlook = database.told(thing(size=(int, 5), note=(str | None, None)))
    assert [each.revision for each in outlook.forecasts] == ["0002_add_thing_size", "0003_add_thing_note"]
    migrate(database.shop.target, database.files)
    assert database.told(thing(size=(int, 5))).forecasts == ()


BOUNDS: list[tuple[Any, Any, Any, Any, str]] = [
    ((str, field()), "aé", (str, field(max_length=1)), "a", "they are longer than 1"),
    ((str, field()), "a", (str, field(min_length=2)), "aé", "they are shorter than 2"),
    ((str, field()), "ab", (str, field(pattern="[0-9]+")), "12", "they do not match the pattern"),
    ((int, field()), 4, (int, field(ge=5)), 5, "they are not ge 5"),
    ((int, field()), 5, (int, field(lt=5)), 4, "they are not lt 5"),
    ((str, field()), "green", (Colour, field()), "red", "they are of no member"),
    ((int, field()), 3, (Rank, field()), 10, "they are of no member"),
]


@pytest.mark.parametrize(("before", "bad", "after", "good", "why"), BOUNDS)
def test_rows_outside_of_the_model_are_counted_though_nothing_is_to_be_planned(
    database: Database, before: Any, bad: Any, after: Any, good: Any, why: str
) -> None:
    database.change(thing(it=before))
    identity = database.insert(1, it=bad)
    database.insert(2, it=good)
    outlook = database.told(thing(it=after))
    assert outlook.forecasts == ()
    (found,) = outlook.outside
    assert (found.table, found.field, found.breach) == ("thing", "it", Breach(why, 1, (identity,)))


def test_digits_that_are_too_many_are_counted(database: Database) -> None:
    database.change(thing(price=(Decimal, field(digits=9, places=2))))
    database.insert(1, price=12345 if database.kind == "sqlite" else Decimal("123.45"))
    database.insert(2, price=-12345 if database.kind == "sqlite" else Decimal("-123.45"))
    database.insert(3, price=1234 if database.kind == "sqlite" else Decimal("12.34"))
    (found,) = database.told(thing(price=(Decimal, field(digits=4, places=2)))).outside
    assert (found.breach.why, found.breach.rows) == ("they have more than 4 digits", 2)


def test_a_database_that_is_not_there_is_not_looked_at(tmp_path: Path) -> None:
    database = Database(tmp_path, "sqlite")
    outlook = database.told(thing(name=(str, "")))
    assert outlook.unseen == f"{database.shop.target} is not there yet"
    assert [effect.size for each in outlook.forecasts for effect in each.effects] == [None]
    away = PostgresTarget("postgresql://nobody@127.0.0.1:1/none")
    planned = plan(database.files, [thing()], preview=True)
    assert planned is not None
    outlook = forecast(away, database.files, [(each.name, each.text) for each in planned.revisions], [thing()])
    assert "postgresql://127.0.0.1:1/none cannot be reached" in outlook.unseen
    assert len(outlook.forecasts) == 1


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql"])
def test_every_kind_of_step_has_its_manner_on_every_database(dialect: str) -> None:
    facts = {"old": Uuid(), "new": Uuid(), "target": "owner"}
    for kind in ("create table", "add reference", "change type", "rows", "bridge", "statement"):
        found = manner(Note(kind, "thing", ("it",), facts), dialect)
        assert found.locks
        assert "{" not in found.locks
