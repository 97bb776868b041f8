"""The slow look at a body that was refused: all of its faults at once, each with its pointer.

The body is taken apart level by level, each value still as its own JSON text, and each is decoded with the very decoder
that the fast way uses for its type. So both ways agree; only the code and the detail of a fault are found out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.kernel.validate.guards import NOBODY, writers
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.syntax import ODD_DECIMAL, step
from mainstay.kernel.validate.wire import READ_ONLY, decode_custom
from mainstay.model.checking import NULL_CHARACTER, check_value, expected, length_fault
from mainstay.model.conditions import FALSE
from mainstay.model.fields import EMPTY
from mainstay.model.policy import Policy
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault
from mainstay.model.schema import Attribute, FieldKind, Shapes

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_JSON = msgspec.json.Decoder()
_NUMBERS = frozenset({FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DECIMAL})
_TEXTS = frozenset(
    {FieldKind.UUID, FieldKind.DATETIME, FieldKind.DATE, FieldKind.TIME, FieldKind.BYTES, FieldKind.DECIMAL}
)


class _Run:
    """One look at one body."""

    __slots__ = ("faults", "limits", "visits", "who")

    def __init__(self, who: Principal, limits: InputLimits) -> None:
        self.who = who
        self.limits = limits
        self.faults: list[Fault] = []
        self.visits = 0

    @property
    def full(self) -> bool:
        return len(self.faults) >= self.limits.faults

    def add(self, code: str, detail: str, pointer: str) -> None:
        if not self.full:
            self.faults.append(Fault(code, detail, pointer=pointer))

    def spent(self, pointer: str) -> bool:
        """Count one value looked at; past the bound, say that what is left was not looked at."""
        self.visits += 1
        if self.visits == self.limits.visits:
            self.add("invalid", "has more faults than are told", pointer)
        return self.visits >= self.limits.visits


class _Value:
    """A field, or the values of a list or map, with the decoders of its type."""

    def __init__(self, attribute: Attribute, collector: Collector) -> None:
        self.attribute = attribute
        self.full = msgspec.json.Decoder(attribute.type, dec_hook=decode_custom)
        bare = attribute.base if attribute.kind is not FieldKind.ANY else Any
        self.bare = msgspec.json.Decoder(bare)
        self.struct = collector.of(attribute.base) if attribute.kind is FieldKind.STRUCT else None
        self.items = _Value(attribute.items, collector) if attribute.items is not None else None

    def look(self, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        """Note the faults of one value."""
        if run.full or run.spent(pointer):
            return
        before = len(run.faults)
        if bytes(raw) == b"null":
            check_value(self.attribute, None, pointer, run.faults)
        elif self.struct is not None:
            self.struct.look(raw, pointer, run)
        elif self.attribute.kind is FieldKind.ANY:
            _look_any(raw, pointer, run)
        elif self.attribute.kind is FieldKind.LIST:
            self._look_list(raw, pointer, run)
        elif self.attribute.kind is FieldKind.MAP:
            self._look_map(raw, pointer, run)
        else:
            self._look_scalar(raw, pointer, run)
        if len(run.faults) == before and not self.decodes(raw):
            run.add(*self._whole_fault(raw), pointer)

    def _whole_fault(self, raw: msgspec.Raw) -> tuple[str, str]:
        """Return code and detail of a value whose parts are fine one by one."""
        if self.attribute.kind is FieldKind.MAP:
            return "key", "has a name that is not allowed here"
        bounds = self.attribute.spec.max_length
        if bounds is not None and len(_ITEMS.decode(raw)) > bounds:
            return "too_long", f"must be at most {bounds} long"
        return "too_short", "must have more items that differ"

    def decodes(self, raw: msgspec.Raw) -> bool:
        try:
            self.full.decode(raw)
        except msgspec.ValidationError:
            return False
        return True

    def _look_scalar(self, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        try:
            value = self.bare.decode(raw)
        except msgspec.ValidationError:
            run.add(*_mistyped(self.attribute, raw), pointer)
            return
        if self.attribute.kind is FieldKind.DECIMAL and ODD_DECIMAL.fullmatch(raw):
            run.add("format", f"must be {expected(self.attribute)}", pointer)
        else:
            check_value(self.attribute, value, pointer, run.faults)

    def _look_list(self, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        try:
            items = _ITEMS.decode(raw)
        except msgspec.ValidationError:
            run.add("type", "must be an array", pointer)
            return
        _check_length(self.attribute, items, pointer, run)
        look = _look_any if self.items is None else self.items.look
        for index, item in enumerate(items):
            look(item, f"{pointer}/{index}", run)
            if run.full or run.visits >= run.limits.visits:
                return

    def _look_map(self, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        try:
            members = _MEMBERS.decode(raw)
        except msgspec.ValidationError:
            run.add("type", "must be an object", pointer)
            return
        _check_length(self.attribute, members, pointer, run)
        look = _look_any if self.items is None else self.items.look
        for name, member in members.items():
            if "\x00" in name:
                run.add(*NULL_CHARACTER, pointer + step(name))
            look(member, pointer + step(name), run)
            if run.full or run.visits >= run.limits.visits:
                return


def _check_length(attribute: Attribute, held: Any, pointer: str, run: _Run) -> None:
    if attribute.base in (set, frozenset):  # its length is known when equal values are one: the decoder tells
        return
    fault = length_fault(attribute, held)
    if fault is not None:
        run.add(*fault, pointer)


def _mistyped(attribute: Attribute, raw: msgspec.Raw) -> tuple[str, str]:
    """Return code and detail of a value that is not of the field's type."""
    detail = f"must be {expected(attribute)}"
    try:
        value: Any = _JSON.decode(raw)
    except msgspec.ValidationError:
        return "too_large", f"{detail} that fits 64 bits"
    if attribute.kind in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
        whole = attribute.kind is FieldKind.INTEGER and isinstance(value, int)
        return ("too_large", f"{detail} that fits 64 bits") if whole else ("type", detail)
    if attribute.kind is FieldKind.ENUM:
        known = {type(member.value) for member in attribute.base}
        return ("enum" if type(value) in known else "type"), detail
    return ("format" if attribute.kind in _TEXTS and isinstance(value, str) else "type"), detail


def _look_any(raw: msgspec.Raw, pointer: str, run: _Run) -> None:
    """Note the faults of a value of no declared type: numbers out of range, text that is refused."""
    if run.full or run.spent(pointer):
        return
    first = bytes(raw)[:1]
    if first == b"{":
        for name, member in _MEMBERS.decode(raw).items():
            if "\x00" in name:
                run.add(*NULL_CHARACTER, pointer + step(name))
            _look_any(member, pointer + step(name), run)
    elif first == b"[":
        for index, item in enumerate(_ITEMS.decode(raw)):
            _look_any(item, f"{pointer}/{index}", run)
    else:
        try:
            check_value(_ANYTHING, _JSON.decode(raw), pointer, run.faults)
        except msgspec.ValidationError:
            run.add("too_large", "must be a number that fits 64 bits", pointer)


_ANYTHING = Attribute(name="", type=Any, base=Any, kind=FieldKind.ANY, optional=True, spec=EMPTY)


class _Struct:
    """An object: its members with their decoders."""

    def __init__(self, struct: Any) -> None:
        self.type = struct
        self.full = msgspec.json.Decoder(struct, dec_hook=decode_custom)
        self.members: dict[str, tuple[_Value, Any]] = {}
        self.guards: dict[str, Policy] = {}
        self.refused: Mapping[str, tuple[str, str]] = getattr(struct, "__mainstay_refused__", {})
        config = struct.__struct_config__
        self.strict: bool = config.forbid_unknown_fields
        self.tag: str | None = config.tag_field if config.tag is not None else None

    def look(self, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        """Note the faults of one object."""
        try:
            given = _MEMBERS.decode(raw)
        except msgspec.ValidationError:
            run.add("type", "must be an object", pointer)
            return
        before = len(run.faults)
        for name, (value, info) in self.members.items():
            if name in given:
                value.look(given[name], pointer + step(name), run)
                self._guard(name, info, value, given[name], pointer, run)
            elif info.required:
                run.add("missing", "is required", pointer + step(name))
        for name in given:
            if name not in self.members and name != self.tag:
                self._unknown(name, pointer, run)
        if len(run.faults) == before:
            self._look_whole(raw, pointer, run)

    def _unknown(self, name: str, pointer: str, run: _Run) -> None:
        if name in self.refused:
            run.add(*self.refused[name], pointer + step(name))
        elif self.strict:
            run.add("unknown_field", "is not known here", pointer + step(name))

    def _guard(self, name: str, info: Any, value: _Value, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        """Refuse a member that this principal may not set, unless it says what would hold without it."""
        policy = self.guards.get(name)
        if policy is None or policy.reduce(run.who) is not FALSE:
            return
        if not info.required and info.default is not msgspec.UNSET and value.decodes(raw):
            default = info.default_factory() if info.default is msgspec.NODEFAULT else info.default
            if value.full.decode(raw) == default:
                return
        fault = READ_ONLY if policy is NOBODY else ("forbidden_field", "may not be set by this caller")
        run.add(*fault, pointer + step(name))

    def _look_whole(self, raw: msgspec.Raw, pointer: str, run: _Run) -> None:
        """Note what a rule of the struct itself (its ``__post_init__``) says of members that are fine one by one."""
        try:
            self.full.decode(raw)
        except msgspec.ValidationError as error:
            run.add(*rule_fault(error), pointer)


def rule_fault(error: Exception | None) -> tuple[str, str]:
    """Return code and detail of what a struct's own rule raised; the text is the team's."""
    cause = None if error is None else error.__cause__
    if isinstance(cause, ValueError | TypeError) and str(cause):
        return "rule", str(cause)
    return "invalid", "must be an object as the contract has it"


class Collector:
    """Tells all faults of a body of one struct. Structs in it are prepared once, at start-up."""

    def __init__(
        self,
        shapes: Shapes,
        limits: InputLimits,
        prepare: Callable[[Policy, Mapping[str, Any]], Policy],
        *,
        fixed: bool = False,
    ) -> None:
        self._shapes = shapes
        self._limits = limits
        self._prepare = prepare
        self._fixed = fixed
        self._made: dict[Any, _Struct] = {}

    def of(self, struct: Any) -> _Struct:
        """Return the object of a struct."""
        known = self._made.get(struct)
        if known is not None:
            return known
        made = self._made[struct] = _Struct(struct)
        shape = self._shapes.of(struct)
        for info in msgspec.structs.fields(struct):
            attribute = shape.by_name[info.name]
            made.members[info.encode_name] = (_Value(attribute, self), info)
            policy = writers(attribute, fixed=self._fixed)
            if policy is not None:
                made.guards[info.encode_name] = policy if policy is NOBODY else self._prepare(policy, shape.types)
        return made

    def faults(self, struct: Any, body: bytes, who: Principal) -> list[Fault]:
        """Return the faults of a body that is JSON, in the order of the struct's fields."""
        run = _Run(who, self._limits)
        self._made[struct].look(msgspec.Raw(body), "", run)
        return run.faults[: self._limits.faults]
