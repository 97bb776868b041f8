"""Decimals in a body: spelled as the contract writes them, and in no other way that Python would read."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import msgspec
import pytest
from bound_input import Desk
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Dto, Invalid, Module, anyone, field
from mainstay.kernel.validate.syntax import ODD_DECIMAL


class Line(Dto):
    price: Decimal = field(digits=12, places=2)
    note: str = field(default="")


class Bill(Dto):
    total: Decimal = field(digits=12, places=2)
    lines: list[Line] = field(default_factory=list)
    rates: dict[str, Decimal] = field(default_factory=dict)
    note: str = field(default="")


class Reader:
    """Reads bills."""

    def __init__(self) -> None:
        module = Module("bills")

        @module.command("POST /bills", allow=anyone)
        async def take(bill: Bill) -> None: ...

        self._desk = Desk(module)

    def read(self, body: bytes) -> Bill:
        bill: Bill = self._desk.inputs("take", body)["bill"]
        return bill


@pytest.fixture(scope="module")
def desk() -> Reader:
    return Reader()


@pytest.mark.parametrize("text", ["0", "12", "12.5", "-3.25", "007.10", "9999999999.99"])
def test_what_the_contract_writes_is_read(desk: Reader, text: str) -> None:
    bill = desk.read(msgspec.json.encode({"total": text, "lines": [{"price": text}], "rates": {"a": text}}))
    assert bill.total == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["1_000", " 1", "1 ", "+1", ".5", "5.", "1e2", "1E+2", "\u0663", "1\u0663", "\\u0031", "\\t1", "--1", "1.2.3"],
)
def test_what_only_python_reads_is_refused(desk: Reader, text: str) -> None:
    for place, body in (
        ("/total", f'{{"total":"{text}"}}'),
        ("/lines/0/price", f'{{"total":"1","lines":[{{"price":"{text}"}}]}}'),
        ("/rates/a", f'{{"total":"1","rates":{{"a":"{text}"}}}}'),
    ):
        with pytest.raises(Invalid) as refused:
            desk.read(body.encode())
        assert [(f.code, f.pointer) for f in refused.value.faults] == [("format", place)]


@pytest.mark.parametrize("text", ["1_000", " 1", "\u0663", "1e2", "+49 30 123", "...", "2"])
def test_text_may_look_like_that(desk: Reader, text: str) -> None:
    bill = desk.read(msgspec.json.encode({"total": "1", "note": text, "lines": [{"price": "2", "note": text}]}))
    assert bill.note == text


PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@given(st.text("019.eE_+- ", min_size=1, max_size=8) | st.text("1.e\u0663\u3000\\tu0", min_size=1, max_size=8))
def test_whatever_python_reads_besides_is_met(text: str) -> None:
    try:
        Decimal(json.loads(f'"{text}"'))
    except (ArithmeticError, ValueError):
        return
    assert bool(ODD_DECIMAL.fullmatch(f'"{text}"'.encode())) is not bool(PLAIN.fullmatch(text))


@pytest.mark.parametrize("text", ["2026-11-29", "+49 30 123", "12:30", "A-100", "1.2.3", "e", ""])
def test_what_python_does_not_read_costs_no_second_look(text: str) -> None:
    assert ODD_DECIMAL.search(f'{{"note":"{text}"}}'.encode()) is None


def test_a_number_of_json_is_read_as_it_stands(desk: Reader) -> None:
    assert desk.read(b'{"total":12.50}').total == Decimal("12.50")


class Folder(Dto):
    bills: list[Bill]


def test_a_decimal_deep_inside_is_spelled_as_the_contract_writes_it() -> None:
    module = Module("folders")

    @module.command("POST /folders", allow=anyone)
    async def take(folder: Folder) -> None: ...

    desk = Desk(module)
    (bill,) = desk.inputs("take", b'{"bills": [{"total": "1.50"}]}')["folder"].bills
    assert bill.total == Decimal("1.50")
    with pytest.raises(Invalid) as refused:
        desk.inputs("take", b'{"bills": [{"total": "1e2"}]}')
    assert [fault.pointer for fault in refused.value.faults] == ["/bills/0/total"]


class Outer(Dto):
    line: Line
    next: Outer | None = field(default=None)


def test_a_decimal_is_found_inside_and_a_struct_in_itself() -> None:
    module = Module("outer")

    @module.command("POST /outer", allow=anyone)
    async def take(outer: Outer) -> None: ...

    desk = Desk(module)
    assert desk.inputs("take", b'{"line":{"price":"1.5"},"next":{"line":{"price":"2"}}}')["outer"].next is not None
    assert desk.faults("take", b'{"line":{"price":"1_5"}}') == [("format", "/line/price")]
