"""``Entity``, ``Dto``, ``Event``: msgspec structs, frozen and keyword-only, that carry what their fields declare."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from inspect import get_annotations
from types import MappingProxyType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, dataclass_transform, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from mainstay.model.fields import EMPTY, FieldSpec, Relation, field
from mainstay.model.options import Options, complete, options_of
from mainstay.model.personal import Person
from mainstay.model.policy import Policy
from mainstay.model.tenancy import Tenancy
from mainstay.model.values import INT_MAX, INT_MIN, UNASSIGNED

_CLASS_VARIABLE = ("ClassVar", "typing.ClassVar")
_SIZED = (str, bytes, list, tuple, set, frozenset, dict)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wrapped_pattern(pattern: str) -> str:
    """Return a pattern of the model as one of Python that matches the whole string, with classes of ASCII."""
    return rf"^(?a:{pattern})\Z"


def _bounds(spec: FieldSpec) -> dict[str, Any]:
    return {name: value for name in ("ge", "gt", "le", "lt") if (value := getattr(spec, name)) is not None}


def bounded(annotation: Any, spec: FieldSpec) -> Any:
    """Return the annotation with the bounds that msgspec checks itself (all but those of Decimal) put into it."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return Union[tuple(bounded(member, spec) for member in get_args(annotation))]  # noqa: UP007 - built at run time
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        made = bounded(inner, spec)
        inner, *added = get_args(made) if get_origin(made) is Annotated else (made,)
        metas = [m for m in (*added, *extra) if isinstance(m, msgspec.Meta)]
        others = [m for m in extra if not isinstance(m, msgspec.Meta)]
        return Annotated[(inner, *([_merged(metas)] if metas else ()), *others)]
    if annotation is int:
        bounds = {"ge": INT_MIN, "le": INT_MAX, **_bounds(spec)}
        bounds.pop("ge" if "gt" in bounds else "", None)
        bounds.pop("le" if "lt" in bounds else "", None)
        return Annotated[int, msgspec.Meta(**bounds)]
    if annotation is float:
        return Annotated[float, msgspec.Meta(**_bounds(spec))]
    if annotation is datetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if origin in (list, set, frozenset, tuple, dict):
        annotation = origin[tuple(a if a is ... else bounded(a, EMPTY) for a in get_args(annotation))]
    if (origin or annotation) in _SIZED and (spec.min_length, spec.max_length, spec.pattern) != (None, None, None):
        pattern = wrapped_pattern(spec.pattern) if spec.pattern is not None and annotation is str else None
        return Annotated[
            annotation, msgspec.Meta(min_length=spec.min_length, max_length=spec.max_length, pattern=pattern)
        ]
    return annotation


def _merged(metas: list[msgspec.Meta]) -> msgspec.Meta:
    """Put several bounds of one value into one, the narrowest of each: msgspec takes no two."""
    if len(metas) == 1:
        return metas[0]
    told = {name: [v for m in metas if (v := getattr(m, name)) is not None] for name in _BOUNDS}
    values: dict[str, Any] = {name: _BOUNDS[name](given) for name, given in told.items() if given}
    for inclusive, exclusive, narrower in (("ge", "gt", max), ("le", "lt", min)):
        if inclusive in values and exclusive in values:
            same = values[inclusive] == values[exclusive]
            kept = (
                exclusive if same or narrower(values[inclusive], values[exclusive]) == values[exclusive] else inclusive
            )
            values.pop(inclusive if kept == exclusive else exclusive)
    return msgspec.Meta(**values)


def _every(patterns: list[str]) -> str:
    return "".join(f"(?={pattern})" for pattern in patterns[1:]) + patterns[0]


_BOUNDS: dict[str, Any] = {
    "ge": max,
    "gt": max,
    "le": min,
    "lt": min,
    "multiple_of": max,
    "min_length": max,
    "max_length": min,
    "pattern": _every,
    "tz": any,
}


def _resolve(annotation: Any, module: str, local: dict[str, Any]) -> Any:
    """Evaluate a string annotation where its names are known already; else leave it for msgspec to resolve later."""
    if not isinstance(annotation, str):
        return annotation
    scope = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return eval(annotation, scope, local)  # noqa: S307 - the team's own source text, as typing.get_type_hints does
    except (NameError, AttributeError, TypeError, SyntaxError):
        return annotation


def settle(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Resolve the annotations of a struct that its class body could not, and return all of them.

    A name that is declared further down resolves only now; its bounds are put into the annotation as for any other, so
    that it must be settled before it is decoded for the first time. Raises ``NameError`` or ``TypeError``.
    """
    for base in struct.__mro__:
        specs: Any = base.__dict__.get("__mainstay_fields__")
        waiting = [name for name, annotation in get_annotations(base).items() if isinstance(annotation, str)]
        if specs is not None and waiting:
            found = get_type_hints(base, include_extras=True)
            base.__annotations__.update({n: bounded(found[n], specs[n]) for n in waiting if n in specs})
    return get_type_hints(struct, include_extras=True)


# related(...) is no specifier: a checker would then hold the relation to be required, as it is given no default=.
@dataclass_transform(field_specifiers=(field,), kw_only_default=True, frozen_default=True)
class ModelMeta(msgspec.StructMeta):
    """Make a struct of a class body whose defaults may be ``field(...)`` or ``related(...)``."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        rows: Policy | None = None,
        tenant: str | Tenancy | None = None,
        soft_delete: bool | None = None,
        audit: bool | None = None,
        append_only: bool | None = None,
        person: str | Person | None = None,
        unknown: Literal["refuse", "ignore"] | None = None,
        version: int | None = None,
        **config: Any,
    ) -> ModelMeta:
        _check_said(name, unknown, version, bases)
        specs: dict[str, FieldSpec] = {}
        relations: dict[str, Relation] = {}
        for base in reversed(bases):
            specs.update(getattr(base, "__mainstay_fields__", {}))
            relations.update(getattr(base, "__mainstay_relations__", {}))
        annotations = dict(namespace.get("__annotations__", {}))
        _check_typed(name, namespace, annotations)
        said = {"soft_delete": soft_delete, "audit": audit, "append_only": append_only}
        options = options_of(bases, tenant=tenant, person=person, **said)
        complete(options, specs, namespace, annotations, lambda a: _resolve(a, namespace["__module__"], namespace))
        for attribute, annotation in annotations.items():
            _declare(attribute, annotation, namespace, annotations, specs, relations)
        namespace["__annotations__"] = annotations
        cls: Any = super().__new__(mcls, name, bases, namespace, **_configured(config, unknown))
        cls.__mainstay_fields__ = MappingProxyType(specs)
        cls.__mainstay_relations__ = MappingProxyType(relations)
        cls.__mainstay_options__ = options
        if rows is not None:
            cls.__mainstay_rows__ = rows
        cls.__mainstay_version__ = version or 1
        return cls  # type: ignore[no-any-return]  # it was made by this metaclass


def _configured(config: dict[str, Any], unknown: str | None) -> dict[str, Any]:
    strict = {} if unknown is None else {"forbid_unknown_fields": unknown != "ignore"}  # None: as the base has it
    return {"kw_only": True, "frozen": True, **strict, **config}


def _check_said(name: str, unknown: str | None, version: int | None, bases: tuple[type, ...]) -> None:
    """Refuse options of a class that mean nothing. Only events have versions."""
    if unknown not in (None, "refuse", "ignore"):
        raise ValueError(f'{name}: unknown="{unknown}": it is "refuse" or "ignore"')
    if version is None:
        return
    if not any(issubclass(base, Event) for base in bases):
        raise TypeError(f"{name}: version={version} is for events: nothing else is told in several versions")
    if type(version) is not int or version < 1:
        raise ValueError(f"{name}: version={version!r}: versions of an event are 1, 2, 3 and so on")


def _check_typed(name: str, namespace: dict[str, Any], annotations: dict[str, Any]) -> None:
    bare = [n for n, v in namespace.items() if isinstance(v, FieldSpec | Relation) and n not in annotations]
    if bare:
        raise TypeError(f"{name}.{bare[0]} has no type: write {bare[0]}: str = field(...), for example")


def _declare(
    attribute: str,
    annotation: Any,
    namespace: dict[str, Any],
    annotations: dict[str, Any],
    specs: dict[str, FieldSpec],
    relations: dict[str, Relation],
) -> None:
    """Take one annotated name of a class body apart: the spec to keep, the default and annotation msgspec is to see."""
    value = namespace.get(attribute, EMPTY)
    resolved = _resolve(annotation, namespace["__module__"], namespace)
    if get_origin(resolved) is ClassVar or (isinstance(resolved, str) and resolved.startswith(_CLASS_VARIABLE)):
        return
    if isinstance(value, Relation):
        relations[attribute] = value
        namespace[attribute] = msgspec.UNSET
        return
    spec = value if isinstance(value, FieldSpec) else FieldSpec(default=value)
    specs[attribute] = spec
    if isinstance(value, FieldSpec):
        namespace.pop(attribute, None)
        if spec.default_factory is not None:
            namespace[attribute] = msgspec.field(default_factory=spec.default_factory)
        elif not spec.required:
            namespace[attribute] = spec.default
    if not isinstance(resolved, str):
        annotations[attribute] = bounded(resolved, spec)


class _Hidden:
    def __repr__(self) -> str:
        return "***"


_HIDDEN = _Hidden()


# The base carries the transform as the metaclass does: type checkers take the first they meet, which is msgspec's own.
# related(...) is no specifier: a checker would then hold the relation to be required, as it is given no default=.
@dataclass_transform(field_specifiers=(field,), kw_only_default=True, frozen_default=True)
class _Model(msgspec.Struct, metaclass=ModelMeta, unknown="refuse"):
    """What the three have in common."""

    __mainstay_fields__: ClassVar[Any]
    __mainstay_relations__: ClassVar[Any]
    __mainstay_options__: ClassVar[Options]
    __mainstay_rows__: ClassVar[Policy | None] = None
    __mainstay_version__: ClassVar[int]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        specs = type(self).__mainstay_fields__
        hidden = {name for name, spec in specs.items() if spec.secret or spec.write_only or spec.encrypted}
        return [(name, _HIDDEN if name in hidden else getattr(self, name)) for name in self.__struct_fields__]


class Entity(_Model):
    """Something that has an identity and is stored as a row.

    ``id`` (UUIDv7), ``version`` and the two times are set by the repository; before a row is added they hold
    ``UNASSIGNED``, 0 and the epoch. A row is frozen: ``repository.update(row, ...)`` returns the new one.
    """

    id: UUID = field(default=UNASSIGNED, read_only=True, immutable=True)
    version: int = field(default=0, ge=0, read_only=True)
    created_at: datetime = field(default=EPOCH, read_only=True, immutable=True)
    updated_at: datetime = field(default=EPOCH, read_only=True)


class Dto(_Model):
    """The input or output of a use case. Unknown fields are refused unless the class says ``unknown="ignore"``."""


class Event(_Model, unknown="ignore"):
    """Something that happened, told to others after the commit. Unknown fields are ignored, so that it may grow.

    ``class OrderPlaced(Event, version=2)`` says that its shape is another than before (the first is 1): a change that
    whoever knows the version before cannot read needs a new one. A class made of an event is an event of its own.
    """


STANDARD_FIELDS = ("id", "version", "created_at", "updated_at")
"""The fields that every entity has."""

DECIMAL_DIGITS = 18
DECIMAL_PLACES = 6
"""A Decimal without ``digits`` and ``places`` has these: what fits a 64-bit scaled integer."""

__all__ = ["DECIMAL_DIGITS", "DECIMAL_PLACES", "EPOCH", "STANDARD_FIELDS", "Dto", "Entity", "Event", "ModelMeta"]
