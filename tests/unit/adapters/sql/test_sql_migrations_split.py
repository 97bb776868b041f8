"""A change that the version before cannot live with is split, and both versions live with what lies between."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sql_shop import Shop, entity, insert, thing

from mainstay.adapters.sql.migrations import MigrationFault, check, check_compatible, migrate, rollback, status
from mainstay.adapters.sql.migrations.files import read_chain
from mainstay.model.fields import field
from mainstay.ports.store import Table


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


OWNER = entity("Owner", name=(str, ""))
OPTIONAL = (UUID | None, None)
REFERRING = (UUID | None, field(default=None, references=OWNER.shape.type))

# The fields before and after, and of each phase what has to stand in its file (None: there is no such file).
SPLITS: list[tuple[dict[str, Any], dict[str, Any], str | None, str | None]] = [
    ({}, {"note": OPTIONAL}, "add_column", None),
    ({}, {"size": (int, 5)}, "add_column", None),
    ({"name": (str, "")}, {"name": (str, field(default="", index=True))}, "create_index", None),
    ({"name": (str, field(index=True))}, {"name": (str, field())}, None, "drop_index"),
    ({"size": (int, 5)}, {}, "server_default", 'drop_column("size")'),
    ({"note": OPTIONAL}, {}, None, 'drop_column("note")'),
    ({"name": (str, field())}, {"name": (str, field(unique=True))}, None, "create_unique_constraint"),
    ({"name": (str, field(unique=True))}, {"name": (str, field())}, "drop_constraint", None),
    ({"name": (str, field(unique=True))}, {}, "drop_constraint", "drop_column"),
    ({}, {"name": (str | None, field(default=None, unique=True))}, "create_unique_constraint", None),
    ({}, {"name": (str, field(default="", unique=True))}, "add_column", "create_unique_constraint"),
    ({"owner_id": OPTIONAL}, {"owner_id": REFERRING}, "create_index", "create_foreign_key"),
    ({}, {"owner_id": REFERRING}, "create_foreign_key", None),
    ({"owner_id": REFERRING}, {"owner_id": OPTIONAL}, "drop_constraint", "drop_index"),
    ({"note": (str, "x")}, {"note": (str | None, None)}, "nullable=True", None),
    ({"note": (str | None, None)}, {"note": (str, "x")}, "steps.fill_on_write", "nullable=False"),
    ({"size": (int, field())}, {"size": (str, field())}, None, "type_=types.Text()"),
]


@pytest.mark.parametrize(("before", "after", "expand", "contract"), SPLITS)
def test_what_the_version_before_would_mind_waits_for_its_end(
    shop: Shop, before: dict[str, Any], after: dict[str, Any], expand: str | None, contract: str | None
) -> None:
    shop.change(OWNER, thing(**before))
    planned = shop.plan(OWNER, thing(**after))
    assert planned is not None
    texts = {each.phase: each.text.partition("def downgrade")[0] for each in planned.revisions}
    for phase, wanted in (("expand", expand), ("contract", contract)):
        assert (phase in texts) == (wanted is not None)
        if wanted is not None:
            assert wanted in texts[phase]
            assert f'phase = "{phase}"' in texts[phase]
    chain = read_chain(shop.files)
    assert [each.phase for each in chain[1:]] == [each.phase for each in planned.revisions]
    migrate(shop.target, shop.files)
    assert check(shop.target, shop.files, [OWNER, thing(**after)]).agree
    rollback(shop.target, shop.files, len(planned.revisions))
    assert status(shop.target, shop.files, [OWNER, thing(**before)]).current == "0001_initial_schema"
    for each in planned.revisions:
        each.path.unlink()
    assert check(shop.target, shop.files, [OWNER, thing(**before)]).agree


STAGES = [
    ({"size": (int, 5)}, {}),
    ({"title": (str, field(unique=True))}, {}),
    ({"note": (str | None, None)}, {"note": (str, "x")}),
    ({"name": (str, field())}, {"name": (str, field(unique=True))}),
    ({"name": (str, field(unique=True))}, {"name": (str, field())}),
    ({"owner_id": OPTIONAL}, {"owner_id": REFERRING}),
    ({"note": (str, "x")}, {"note": (str | None, None)}),
]


@pytest.mark.parametrize(("before", "after"), STAGES)
def test_both_versions_start_between_the_phases(shop: Shop, before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = [OWNER, thing(**before)], [OWNER, thing(**after)]
    shop.change(*old)
    planned = shop.plan(*new)
    assert planned is not None
    migrate(shop.target, shop.files, phase="expand")
    check_compatible(shop.target, shop.files, new)
    for each in planned.revisions:
        each.path.rename(each.path.with_suffix(".kept"))
    check_compatible(shop.target, shop.files, old)
    for each in planned.revisions:
        each.path.with_suffix(".kept").rename(each.path)
    migrate(shop.target, shop.files)
    check_compatible(shop.target, shop.files, new)


def test_phases_are_run_as_wanted(shop: Shop) -> None:
    old, new = [thing(size=(int, 5))], [thing(name=(str, ""))]
    shop.plan(*old)
    assert migrate(shop.target, shop.files, phase="expand") == ["0001_initial_schema"]
    planned = shop.plan(*new)
    assert planned is not None
    expand, contract = (each.name for each in planned.revisions)
    with pytest.raises(MigrationFault, match="2 migrations behind"):
        check_compatible(shop.target, shop.files, new)
    assert migrate(shop.target, shop.files, phase="expand") == [expand]
    found = status(shop.target, shop.files, new)
    assert (found.pending, found.held) == ((contract,), (contract,))
    assert migrate(shop.target, shop.files, phase="expand") == []
    assert migrate(shop.target, shop.files) == [contract]
    fresh = Shop(shop.files.parent / "fresh")
    assert len(migrate(fresh.target, shop.files, phase="expand")) == 3  # nobody is there to mind


def test_what_is_behind_a_contract_waits_with_it(shop: Shop) -> None:
    shop.change(thing(note=(str | None, None)))
    shop.plan(thing())
    shop.plan(thing(size=(int, 5)))
    assert migrate(shop.target, shop.files, phase="expand") == []
    with pytest.raises(MigrationFault, match="2 migrations behind"):
        check_compatible(shop.target, shop.files, [thing(size=(int, 5))])


def test_a_version_that_needs_another_type_does_not_start_before_the_contract(shop: Shop) -> None:
    shop.change(thing(size=(int, field())))
    new = [thing(size=(str, field()))]
    shop.plan(*new)
    migrate(shop.target, shop.files, phase="expand")
    with pytest.raises(MigrationFault, match=r"thing\.size is of another type: stop all older versions"):
        check_compatible(shop.target, shop.files, new)


def test_a_phase_has_one_of_two_names(shop: Shop) -> None:
    planned = shop.change(thing())
    path = planned.revisions[0].path
    path.write_text(path.read_text().replace('phase = "expand"', 'phase = "later"'))
    with pytest.raises(MigrationFault, match='phase is "expand" or "contract", or is left out, not "later"'):
        migrate(shop.target, shop.files)


def renamed(shop: Shop) -> list[Table]:
    old, new = [thing(title=(str, field(unique=True)))], [thing(name=(str, field(unique=True)))]
    shop.change(*old)
    insert(shop, "thing", title="first")
    planned = shop.plan(*new, renames=["thing.title=name"])
    assert planned is not None
    assert [each.phase for each in planned.revisions] == ["expand", "contract"]
    assert planned.warnings == ()
    return new


def test_a_renamed_column_has_both_names_while_both_versions_serve(shop: Shop) -> None:
    new = renamed(shop)
    migrate(shop.target, shop.files, phase="expand")
    check_compatible(shop.target, shop.files, new)
    insert(shop, "thing", id="2", title="second")
    insert(shop, "thing", id="3", name="third")
    assert shop.sql("SELECT title, name FROM thing ORDER BY name") == [(n, n) for n in ("first", "second", "third")]
    shop.sql("UPDATE thing SET name = 'one' WHERE name = 'first'")
    shop.sql("UPDATE thing SET title = 'two' WHERE title = 'second'")
    both = [("one", "one"), ("third", "third"), ("two", "two")]
    assert shop.sql("SELECT title, name FROM thing ORDER BY name") == both
    with pytest.raises(sqlite3.IntegrityError):
        insert(shop, "thing", id="4", title="one")
    migrate(shop.target, shop.files)
    assert check(shop.target, shop.files, new).agree
    assert shop.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'") == []
    rollback(shop.target, shop.files)
    assert shop.sql("SELECT title, name FROM thing ORDER BY name") == both
    rollback(shop.target, shop.files)
    assert shop.sql("SELECT title FROM thing ORDER BY title") == [("one",), ("third",), ("two",)]


@pytest.mark.parametrize("said", ["thing.title=size", "thing.nothing=name", "other.title=name"])
def test_a_rename_of_what_was_not_renamed_is_refused(shop: Shop, said: str) -> None:
    shop.change(thing(title=(str, field())))
    with pytest.raises(MigrationFault, match="of the same kind that comes"):
        shop.plan(thing(name=(str, field()), size=(int, 5)), renames=[said])


def test_a_rename_is_said_in_full(shop: Shop) -> None:
    with pytest.raises(MigrationFault, match=r"a rename is said as table\.old=new"):
        shop.plan(thing(), renames=["title=name"])


def test_a_rename_is_asked_for_and_not_guessed(shop: Shop) -> None:
    shop.change(thing(title=(str, field()), size=(int, 5)))
    planned = shop.plan(thing(name=(str, ""), heading=(str, "")), preview=True)
    assert planned is not None
    (hint,) = [each for each in planned.warnings if "renamed" in each]
    ways = "mainstay db plan --rename thing.title=name or mainstay db plan --rename thing.title=heading"
    assert hint.endswith(ways)


def test_null_that_the_version_before_writes_is_filled(shop: Shop) -> None:
    shop.change(thing(note=(str | None, None)))
    insert(shop, "thing")
    shop.plan(thing(note=(str, "it's")))
    migrate(shop.target, shop.files, phase="expand")
    insert(shop, "thing", id="2", note=None)
    shop.sql("UPDATE thing SET note = NULL WHERE id = '2'")
    assert shop.sql("SELECT note FROM thing") == [("it's",), ("it's",)]


def test_rows_in_the_way_are_told_by_their_ids_before_anything_is_done(shop: Shop) -> None:
    shop.change(thing(code=(str, field()), size=(int, 5)))
    for number in range(7):
        insert(shop, "thing", id=str(UUID(int=number)), code="secret", size=1)
    shop.plan(thing(code=(str, field(unique=True))))
    migrate(shop.target, shop.files, phase="expand")
    with pytest.raises(MigrationFault) as raised:
        migrate(shop.target, shop.files)
    assert "keep thing.code unique (uq_thing_code): 7 rows" in str(raised.value)
    assert str(raised.value).count("00000000-0000") == 5
    assert "secret" not in str(raised.value)
    assert shop.sql("SELECT count(size) FROM thing") == [(7,)]


def test_model_files_and_schema_are_compared(shop: Shop) -> None:
    fields: dict[str, Any] = {
        "name": (str, field(default="", index=True)),
        "price": (Decimal, field(digits=9, places=2)),
    }
    assert not check(shop.target, shop.files, [thing()]).agree  # there are no files yet
    shop.change(OWNER, thing(**fields, owner_id=REFERRING))
    model = [OWNER, thing(**fields, owner_id=REFERRING)]
    assert check(shop.target, shop.files, model).agree
    shop.sql("DROP INDEX ix_thing_name")
    shop.sql("CREATE INDEX ix_own ON thing (name)")
    shop.sql("DROP INDEX ix_thing_owner_id")
    shop.sql("CREATE INDEX ix_thing_owner_id ON thing (owner_id)")
    shop.sql("ALTER TABLE thing ADD COLUMN extra TEXT")
    shop.sql("ALTER TABLE owner RENAME COLUMN name TO title")
    shop.sql("CREATE TABLE own (id INTEGER)")
    found = check(shop.target, shop.files, [*model, entity("Other")])
    assert found.model == ("the table other is missing",)
    assert set(found.schema) == {
        "the table own is made by no file",
        "the column owner.name is missing",
        "the column owner.title is made by no file",
        "the column thing.extra is made by no file",
        "the index of thing, ix_thing_name, is missing",
        "the index of thing, ix_own, is made by no file",
        "the index of thing, ix_thing_owner_id, is on (owner_id), and not on (owner_id, id)",
    }
    assert not found.agree
    shop.sql("DROP TABLE thing")
    shop.sql("CREATE TABLE thing (id TEXT, name INTEGER NOT NULL)")
    found = check(shop.target, shop.files, model)
    assert "the column thing.name is of another type" in found.schema
    assert "the column thing.id may be null" in found.schema
    shop.plan(OWNER, thing(**fields, owner_id=REFERRING), entity("Other"))
    assert check(shop.target, shop.files, [*model, entity("Other")]).pending != ()


def test_a_database_that_no_file_knows_cannot_be_compared(shop: Shop) -> None:
    planned = shop.change(thing())
    planned.revisions[0].path.unlink()
    with pytest.raises(MigrationFault, match="in no file of"):
        check(shop.target, shop.files, [thing()])


def test_a_trigger_has_a_name_that_every_database_takes(shop: Shop) -> None:
    long = "a_column_" + "x" * 60
    shop.change(thing(**{long: (str | None, None)}))
    insert(shop, "thing")
    shop.change(thing(**{long: (str, "x")}))
    shop.plan(thing(**{f"{long}_2": (str, "x")}), renames=[f"thing.{long}={long}_2"])
    migrate(shop.target, shop.files, phase="expand")
    names = [name for (name,) in shop.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    assert len(names) == 4
    assert max(map(len, names)) <= 63
    migrate(shop.target, shop.files)
    assert shop.sql(f"SELECT {long}_2 FROM thing") == [("x",)]
