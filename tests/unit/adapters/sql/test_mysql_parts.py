"""The parts of the store on MariaDB and MySQL that need no server: columns, errors, URLs, how writes go together."""

from __future__ import annotations

import ssl
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from asyncmy import errors
from sql_samples import FIRST, Maker, Part, Sample, row, table

from mainstay.adapters.sql.catalog import catalog_of
from mainstay.adapters.sql.dialect import TableFault
from mainstay.adapters.sql.dialects import MysqlDialect
from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.mysql.engine import MysqlEngine, check_version
from mainstay.adapters.sql.mysql.errors import Columns, translate
from mainstay.adapters.sql.mysql.options import Options, address
from mainstay.adapters.sql.mysql_writing import MOST_BYTES, compound, grouped, portions, stands_alone
from mainstay.adapters.sql.outages import ConnectionLost, ServerUnfit, StaleStatement
from mainstay.adapters.sql.schema import create_statements
from mainstay.adapters.sql.writes import Alteration, Insert, alteration, queue_insert
from mainstay.model.conditions import Compare
from mainstay.model.fields import field
from mainstay.model.policy import owner
from mainstay.model.problem import DeadlineExceeded, Invalid, SerializationConflict
from mainstay.model.structs import Entity
from mainstay.model.values import Url
from mainstay.ports.rows import Change


class Flavour(StrEnum):
    SWEET = "sweet"


class Indexed(Entity, rows=owner("keeper")):
    short: str = field(unique=True, max_length=40)
    free: str = field(unique=True)
    listed: str = field(index=True, max_length=60)
    long: str = field(index=True)
    longer: str = field(index=True, max_length=5000)
    keeper: str = ""
    text: str = field(max_length=40)
    token: bytes = field(unique=True)
    flavour: Flavour = Flavour.SWEET
    price: Decimal = field(digits=12, places=2)


def test_texts_that_an_index_must_hold_have_a_bound_and_others_have_none() -> None:
    first, *others = create_statements([table(Indexed)], MysqlDialect("utf8mb4_0900_bin"))
    columns = dict(line.strip("\t ,").split(" ", 1) for line in first.splitlines() if line.startswith("\t"))
    stored = {
        "short": "VARCHAR(40)",
        "free": "VARCHAR(255)",
        "listed": "VARCHAR(60)",
        "`long`": "LONGTEXT",
        "longer": "LONGTEXT",
        "keeper": "LONGTEXT",
        "text": "LONGTEXT",
        "token": "VARBINARY(255)",
        "flavour": "VARCHAR(255)",
        "price": "DECIMAL(18, 2)",
        "id": "BINARY(16)",
        "created_at": "DATETIME(6)",
    }
    assert {name: columns[name] for name in stored} == {name: f"{text} NOT NULL" for name, text in stored.items()}
    assert "COLLATE utf8mb4_0900_bin" in first
    assert {each.partition(" ON ")[2] for each in others} == {
        "indexed (keeper(255), id)",
        "indexed (listed, id)",
        "indexed (`long`(255), id)",
        "indexed (longer(255), id)",
    }


def test_the_column_of_a_statement_is_that_of_the_schema() -> None:
    dialect = MysqlDialect()
    (statement, *_) = create_statements([table(Indexed), table(Sample)], dialect)
    for attribute in table(Indexed).shape.attributes:
        assert f"{dialect.storing(attribute).storage} NOT NULL" in statement


def test_a_unique_text_that_no_index_holds_is_a_fault_of_its_declaration() -> None:
    class Linked(Entity):
        address: Url = field(unique=True)

    with pytest.raises(TableFault, match=r"Linked.address: no index .* max_length=764 or less"):
        catalog_of([table(Linked)], MysqlDialect())


@pytest.mark.parametrize(("name", "length"), [("short", 41), ("free", 256), ("listed", 61), ("token", 256)])
def test_what_is_longer_than_its_column_is_refused_and_not_repeated(name: str, length: int) -> None:
    value: Any = b"x" * length if name == "token" else "x" * length
    encode = MysqlDialect().storing(table(Indexed).shape.by_name[name]).encode
    with pytest.raises(Invalid) as raised:
        encode(value)
    [fault] = raised.value.faults
    assert (fault.code, fault.pointer) == ("too_long", f"/{name}")
    assert encode(value[1:]) == value[1:]


def test_names_are_quoted_whatever_is_in_them() -> None:
    assert MysqlDialect().quoted("a`b") == "`a``b`"


def told(number: int, words: str) -> BaseException:
    columns = Columns()
    rows = [("shelf", "uq_shelf_name", "name"), ("shelf", "PRIMARY", "id"), ("book", "PRIMARY", "id")]
    columns.learn([*rows, ("a", "ours", "x"), ("a", "ours", "y"), ("b", "ours", "z")])
    return translate(errors.OperationalError(number, words), columns)


REFERENCE = (
    "(`db`.`book`, CONSTRAINT `fk_book_shelf_id` FOREIGN KEY (`shelf_id`) REFERENCES `shelf` (`id`) ON DELETE CASCADE)"
)
CONSTRAINTS: list[Any] = [
    (1062, "Duplicate entry 'a' for key 'x' for key 'uq_shelf_name'", "unique", "shelf", ("name",)),
    (1062, "Duplicate entry 'a' for key 'shelf.uq_shelf_name'", "unique", "shelf", ("name",)),
    (1062, "Duplicate entry '1' for key 'PRIMARY'", "unique", "", ("id",)),
    (1062, "Duplicate entry '1' for key 'book.PRIMARY'", "unique", "book", ("id",)),
    (1062, "Duplicate entry '1' for key 'ours'", "unique", "", ()),
    (1062, "Duplicate entry '1' for key 'unknown'", "unique", "", ()),
    (1452, f"Cannot add or update a child row: a foreign key constraint fails {REFERENCE}", "foreign_key", "book",
     ("shelf_id",)),
    (1451, f"Cannot delete or update a parent row: a foreign key constraint fails {REFERENCE}", "foreign_key", "book",
     ("shelf_id",)),
    (1216, "Cannot add or update a child row: a foreign key constraint fails", "foreign_key", "", ()),
    (1048, "Column 'name' cannot be null", "not_null", "", ()),
    (4025, "CONSTRAINT `c` failed for `db`.`book`", "check", "", ()),
]  # fmt: skip


@pytest.mark.parametrize(("number", "words", "kind", "where", "columns"), CONSTRAINTS)
def test_a_broken_rule_is_told_by_its_table_and_columns(
    number: int, words: str, kind: str, where: str, columns: tuple[str, ...]
) -> None:
    failed = told(number, words)
    assert isinstance(failed, ConstraintFailed)
    assert (failed.kind, failed.table, failed.columns) == (kind, where, columns)
    assert "Duplicate entry" not in str(failed)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, SerializationConflict) for number in (1213, 1205, 1020)),
        *((number, DeadlineExceeded) for number in (1969, 3024)),
        *((number, ConnectionLost) for number in (2006, 2013, 2055, 1927, 1290, 1836, 1040, 1203, 0)),
        *((number, StaleStatement) for number in (1615, 1243)),
        *((number, StatementFailed) for number in (1064, 1406, 30001)),
    ],
)
def test_other_errors_are_told_by_their_number(number: int, kind: type[BaseException]) -> None:
    assert type(told(number, "words")) is kind


def test_what_is_no_error_of_the_server_is_late_lost_or_itself() -> None:
    columns, own = Columns(), KeyError("x")
    assert isinstance(translate(TimeoutError(), columns), DeadlineExceeded)
    assert isinstance(translate(ConnectionResetError(), columns), ConnectionLost)
    assert translate(own, columns) is own


def test_a_url_says_where_the_database_is() -> None:
    found = address("mariadb://a%40b:p%2Fw%C3%A9@db.example:3307/shop")
    assert (found["user"], found["password"], found["host"], found["port"], found["database"], found["ssl"]) == (
        "a@b", "p/wé".encode(), "db.example", 3307, "shop", None,
    )  # fmt: skip
    assert address("mysql://u@h/d?socket=/run/s.sock")["unix_socket"] == "/run/s.sock"
    checked, unchecked = (address(f"mysql://u@h/d?ssl-mode={mode}")["ssl"] for mode in ("verify-identity", "required"))
    assert (checked.verify_mode, checked.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (unchecked.verify_mode, unchecked.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:geheim@h/d", "mysql://u:geheim@h", "mysql://u:geheim@h/a/b", "mysql://u:geheim@h/d?sslmode=on",
     "mysql://u:geheim@h/d?ssl-mode=maybe"],
)  # fmt: skip
def test_a_url_that_says_too_little_or_too_much_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        Options(url)
    assert "geheim" not in str(raised.value)


def test_a_server_that_is_too_old_is_refused() -> None:
    check_version("10.11.19-MariaDB-0+deb12u1", mariadb=True)
    check_version("8.0.17", mariadb=False)
    for version, mariadb in (("10.5.29-MariaDB", True), ("8.0.16", False), ("5.7.44", False), ("what", False)):
        with pytest.raises(ServerUnfit):
            check_version(version, mariadb=mariadb)


def writes(*, version: int | None = None) -> list[Insert | Alteration]:
    catalog = catalog_of([table(Maker), table(Part)], MysqlDialect())
    queue: list[Insert | Alteration] = []
    queue_insert(queue, catalog[Maker], [row(Maker, n, name=f"m{n}") for n in (1, 2)])
    change = Change(where=Compare("id", "eq", UUID(int=1)), changes={"order": 5}, version=version, expected=1)
    queue.append(alteration(catalog[Part], change, bump=True))
    change = Change(where=Compare("order", "gt", 7), changes=None)
    queue.append(alteration(catalog[Part], change, bump=True))
    return queue


def test_writes_go_together_in_their_order_where_the_server_takes_them_so() -> None:
    queue = writes(version=3)
    assert [len(group) for group in grouped(queue, together=False)] == [1, 1, 1]
    (group,) = grouped(queue, together=True)
    insert = "INSERT INTO `maker` (`id`, `version`, `created_at`, `updated_at`, `name`) VALUES (?, ?, ?, ?, ?)"
    steps = (
        f"{insert}, (?, ?, ?, ?, ?); "
        "UPDATE `part` SET `order` = ?, `version` = `version` + 1 WHERE `id` = ? AND `version` = ?; "
        "IF ROW_COUNT() <> 1 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO=30001; END IF; "
        "DELETE FROM `part` WHERE `order` > ?; "
    )
    assert compound(group, alone=False) == f"BEGIN NOT ATOMIC {steps}END"
    alone = "DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END; START TRANSACTION; "
    assert compound(group, alone=True) == f"BEGIN NOT ATOMIC {alone}{steps}COMMIT; END"


def test_a_write_stands_alone_where_it_undoes_itself() -> None:
    insert, one, any_number = writes()
    assert stands_alone([insert])
    assert stands_alone([one])
    assert stands_alone([any_number])
    assert isinstance(one, Alteration)
    several = one._replace(change=Change(where=one.change.where, changes={}, expected=2))
    assert not stands_alone([several])
    assert stands_alone([several, insert])


def test_rows_are_parted_by_their_number_and_by_their_size() -> None:
    assert [len(each) for each in portions([("x",)] * 1200)] == [500, 500, 200]
    large = ("x" * (MOST_BYTES // 2 + 1),)
    assert [len(each) for each in portions([large, large, ("y",), (b"x" * MOST_BYTES,)])] == [1, 2, 1]


def test_values_are_encoded_for_the_driver() -> None:
    catalog = catalog_of([table(Sample)], MysqlDialect())
    statements = catalog[Sample]
    sample = row(Sample, 7, ref=UUID(int=9), at=FIRST, flag=True, price=Decimal("1.5"), ratio=2)
    stored = dict(zip(statements.columns.by_name, statements.codec.encode(sample), strict=True))
    assert (stored["id"], stored["ref"]) == (UUID(int=7).bytes, UUID(int=9).bytes)
    assert (stored["at"], stored["flag"], repr(stored["price"]), repr(stored["ratio"])) == (
        FIRST, True, "Decimal('1.50')", "2.0",
    )  # fmt: skip


def test_a_repeatable_read_that_would_lose_updates_is_serialisable() -> None:
    engine = MysqlEngine(Options("mysql://user@db.example/shop"))
    begun = engine.begin_command("serializable")
    assert engine.begin_command("repeatable_read") == begun
    assert "READ COMMITTED" in engine.begin_command("read_committed")
    engine.keeps_snapshots = True
    assert "REPEATABLE READ" in engine.begin_command("repeatable_read")
