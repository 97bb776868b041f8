"""Values that come as text: parameters of the path, of the query string and of headers.

Each type has one spelling, or the few that its standard has: no spaces, no underscores, no other digits than 0 to 9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.checking import check_value, expected
from mainstay.model.problem import Fault
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import Secret

Parse = Callable[[str], Any]

INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,308})(?:\.[0-9]{1,308})?(?:[eE][+-]?[0-9]{1,3})?\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?\Z")
_UNRULED = frozenset({FieldKind.UUID, FieldKind.BOOLEAN, FieldKind.ENUM, FieldKind.DATE, FieldKind.TIME})


class BadText(Exception):
    """Text that is no value of its type, or one that breaks a rule: what to tell."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__()
        self.faults = faults


def bind_text(attribute: Attribute, name: str) -> Parse:
    """Return the function that makes a checked value of the text of parameter ``name``. It raises ``BadText``."""
    parse = _parser(attribute)
    code = "enum" if attribute.kind is FieldKind.ENUM else "format"
    detail = f"must be {_spoken(attribute)}"
    unruled = attribute.kind in _UNRULED and not attribute.secret

    def read(text: str) -> Any:
        try:
            value = parse(text)
        except (ValueError, KeyError):
            raise BadText([Fault(code, detail, parameter=name)]) from None
        if unruled:
            return value
        faults: list[Fault] = []
        check_value(attribute, value, "", faults)
        if faults:
            raise BadText([Fault(fault.code, fault.detail, parameter=name) for fault in faults])
        return Secret(value) if attribute.secret else value

    return read


def _spoken(attribute: Attribute) -> str:
    return "a decimal number" if attribute.kind is FieldKind.DECIMAL else expected(attribute)


def _parser(attribute: Attribute) -> Parse:
    if attribute.kind is FieldKind.ENUM:
        return {str(member.value): member for member in attribute.base}.__getitem__
    parser = _PARSERS.get(attribute.kind)
    if parser is None:
        raise TypeError(f"a parameter cannot be {expected(attribute)}")
    return parser


def _matching(pattern: re.Pattern[str], make: Parse) -> Parse:
    def parse(text: str) -> Any:
        if pattern.match(text) is None:
            raise ValueError
        return make(text)

    return parse


def _uuid(text: str) -> UUID:
    if len(text) != 36:  # the form with hyphens (RFC 9562, section 4), and no other that the decoder takes
        raise ValueError
    return msgspec.convert(text, UUID)


def _converting(type_: Any) -> Parse:
    return lambda text: msgspec.convert(text, type_)  # a ValidationError is a ValueError


_PARSERS: dict[FieldKind, Parse] = {
    FieldKind.STRING: str,
    FieldKind.INTEGER: _matching(INTEGER, int),
    FieldKind.FLOAT: _matching(NUMBER, float),
    FieldKind.DECIMAL: _matching(_DECIMAL, Decimal),
    FieldKind.UUID: _uuid,
    FieldKind.BOOLEAN: {"true": True, "false": False}.__getitem__,
    FieldKind.DATETIME: _converting(datetime),
    FieldKind.DATE: _converting(date),
    FieldKind.TIME: _converting(time),
    FieldKind.BYTES: _converting(bytes),
}
