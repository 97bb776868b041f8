"""Reading a body: decoded and checked in one go where it is right, looked at slowly where it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.kernel.validate.collect import Collector, rule_fault
from mainstay.kernel.validate.counting import Counters
from mainstay.kernel.validate.extras import Extras, null_free
from mainstay.kernel.validate.guards import Guards
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.problems import JsonEncoding, JsonSyntax, JsonTooDeep
from mainstay.kernel.validate.syntax import ODD_DECIMAL, keys_bound, refuse_duplicates, refuse_text, too_deep, too_many
from mainstay.kernel.validate.wire import decode_custom
from mainstay.model.policy import Policy
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Invalid, Problem, TooLarge
from mainstay.model.schema import FieldKind, Shapes

Read = Callable[[bytes, Principal], Any]
Finish = Callable[[Any], Any]
Prepare = Callable[[Policy, Mapping[str, Any]], Policy]
"""Makes a field's policy ready: with the types of the row's fields, which claims are compared as."""


def is_closed(shapes: Shapes, struct: Any, above: tuple[Any, ...] = ()) -> bool:
    """Say whether a struct's type bounds the depth of its JSON, and leaves no part of it undecoded."""
    if struct in above or not struct.__struct_config__.forbid_unknown_fields:
        return False
    for attribute in shapes.of(struct).attributes:
        part: Any = attribute
        while part.items is not None:
            part = part.items
        if part.kind is FieldKind.STRUCT and not is_closed(shapes, part.base, (*above, struct)):
            return False
        if part.kind in (FieldKind.ANY, FieldKind.LIST, FieldKind.MAP):
            return False
    return True


def has_decimals(shapes: Shapes, struct: Any, above: tuple[Any, ...] = ()) -> bool:
    """Say whether a Decimal may stand anywhere in a struct."""
    if struct in above:
        return False
    for attribute in shapes.of(struct).attributes:
        part: Any = attribute
        while part.items is not None:
            part = part.items
        if part.kind is FieldKind.DECIMAL:
            return True
        if part.kind is FieldKind.STRUCT and has_decimals(shapes, part.base, (*above, struct)):
            return True
    return False


def bind_reader(
    struct: Any, shapes: Shapes, *, prepare: Prepare, limits: InputLimits, finish: Finish | None = None, fixed: bool
) -> Read:
    """Return the function that reads a body of one struct.

    ``finish`` makes what the use case takes of the decoded value; it may raise ``msgspec.ValidationError`` of a rule.
    ``fixed`` says that the body is a caller's, which sets no read-only field: events of services have theirs.
    The function raises ``Malformed`` and its kinds for what is no proper JSON, ``TooLarge``, and ``Invalid`` with all
    faults.
    """
    decode = msgspec.json.Decoder(struct, dec_hook=decode_custom).decode
    count, fine = Counters(shapes).of(struct), Extras(shapes).of(struct)
    may = Guards(shapes, prepare, fixed=fixed).of(struct)
    refuse = _Refusal(struct, Collector(shapes, limits, prepare, fixed=fixed), limits)
    decimals, closed = has_decimals(shapes, struct), is_closed(shapes, struct)
    size, depth, containers = limits.body, limits.depth, limits.containers

    def read(body: bytes, who: Principal) -> Any:
        if len(body) > size:
            raise TooLarge(f"the body may have {size} bytes", limit=size)
        if len(body) > containers and too_many(body, containers):
            raise _crowded(body, limits)
        if not closed:
            _look_open(body, depth)
        try:
            value = decode(body)
            made = value if finish is None else finish(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise refuse(body, who, error) from None
        expected = count if isinstance(count, int) else count(value)
        if body.count(b":") != expected and keys_bound(body) != expected:
            refuse_duplicates(body, limits.faults)
        if (
            (fine is not None and not fine(value))
            or (b"\\" in body and b"\\u0000" in body and not null_free(value))
            or (may is not None and not may(value, who))
        ):
            raise refuse(body, who)
        if decimals and ODD_DECIMAL.search(body):
            refuse.odd(body, who)
        return made

    return read


def _crowded(body: bytes, limits: InputLimits) -> Problem:
    if too_deep(body, limits.depth):
        return _deep(limits.depth)
    return TooLarge(f"the body may have {limits.containers} objects and arrays", limit=limits.containers)


def _deep(limit: int) -> Problem:
    return JsonTooDeep(f"arrays and objects may be nested {limit} deep")


def _look_open(body: bytes, depth: int) -> None:
    """Look at what a decoder that skips or takes anything would not: depth, and the encoding of what is skipped."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            refuse_text(body, depth)
    if too_deep(body, depth):
        raise _deep(depth)


class _Refusal:
    """Finds out what to say of a body that was refused."""

    def __init__(self, struct: Any, collector: Collector, limits: InputLimits) -> None:
        self._struct = struct
        self._limits = limits
        self._collector = collector
        self._collector.of(struct)

    def __call__(self, body: bytes, who: Principal, error: Exception | None = None) -> Invalid:
        """Return all faults, or raise what is wrong with the body as text; ``error`` is what decoding it raised."""
        refuse_text(body, self._limits.depth)
        refuse_duplicates(body, self._limits.faults)
        faults = self._collector.faults(self._struct, body, who)
        return Invalid(faults=faults or [Fault(*rule_fault(error), pointer="")])

    def odd(self, body: bytes, who: Principal) -> None:
        """Refuse a body in which a Decimal is spelled in a way that only Python reads. It was decoded before."""
        faults = self._collector.faults(self._struct, body, who)
        if faults:
            raise Invalid(faults=faults)


def as_bytes(body: Mapping[str, Any]) -> bytes:
    """Return a body that a protocol has parsed as JSON text, so that all protocols meet one validation."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise JsonEncoding("text may not contain a lone surrogate") from None
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise JsonSyntax("the input has a value that JSON has not") from None
