"""What a team says of a field beyond its type: ``field(...)``, ``related(...)``, ``header(...)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from mainstay.model.policy import Policy

T = TypeVar("T")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of one field, as ``field(...)`` was given it."""

    default: Any = MISSING
    default_factory: Callable[[], Any] | None = None
    unique: bool = False
    index: bool = False
    searchable: bool = False
    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    digits: int | None = None
    places: int | None = None
    references: Any = None
    on_delete: str = "restrict"
    immutable: bool = False
    read_only: bool = False
    write_only: bool = False
    secret: bool = False
    encrypted: bool | str = False
    personal: bool | Literal["blob"] = False
    read: Policy | None = None
    write: Policy | None = None
    examples: tuple[Any, ...] = ()
    description: str | None = None

    def __post_init__(self) -> None:
        if self.default is not MISSING and self.default_factory is not None:
            raise TypeError("field: it has default= and default_factory=, and takes one of them")

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is MISSING and self.default_factory is None


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows of a relation are found, as ``related(...)`` was given it.

    ``key`` is the field that refers: of the other entity to this row, or of this row to the other entity. With
    ``through`` it is that of the entity between, and ``to`` is the field by which that refers to the other one; a shape
    has both, where they were left out too.
    """

    key: str = ""
    through: Any = None
    to: str = ""


class Header(msgspec.Struct, frozen=True):
    """A marker in ``Annotated``: the parameter comes from this header, not from the query or the body."""

    name: str


EMPTY = FieldSpec()


def field(
    *,
    default: Any = MISSING,
    default_factory: Callable[[], Any] | None = None,
    unique: bool = False,
    index: bool = False,
    searchable: bool = False,
    ge: Any = None,
    gt: Any = None,
    le: Any = None,
    lt: Any = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
    digits: int | None = None,
    places: int | None = None,
    references: Any = None,
    on_delete: str = "restrict",
    immutable: bool = False,
    read_only: bool = False,
    write_only: bool = False,
    secret: bool = False,
    encrypted: bool | str = False,
    personal: bool | Literal["blob"] = False,
    read: Policy | None = None,
    write: Policy | None = None,
    examples: tuple[Any, ...] = (),
    description: str | None = None,
) -> Any:
    """Declare a field of an ``Entity``, ``Dto`` or ``Event``.

    Bounds: ``ge``, ``gt``, ``le``, ``lt`` for numbers; ``min_length``, ``max_length`` for strings (in code points) and
    lists (in items); ``pattern`` is matched against the whole string; ``digits`` and ``places`` are those of a Decimal.
    Store: ``unique``, ``index``, ``searchable`` (found by its words), ``references`` (an entity or its name) with
    ``on_delete`` "restrict", "cascade" or "null". Access: ``immutable`` is set once; ``read_only`` never comes from a
    body; ``write_only`` and ``secret`` never go into an answer; ``read`` and ``write`` are policies that mask the
    field. Protection: ``encrypted`` fields of an entity are stored encrypted, and rows cannot be found by them; a text
    in place of True is the label that they are bound to, to be given when the field or its entity gets another name.
    ``personal`` fields say something about the person that the entity's ``person=`` names; "blob": they hold the key of
    an object. Faults are reported at start-up.
    """
    return FieldSpec(**locals())  # the parameters are those of the spec, one for one


def related(key: str = "", *, through: Any = None, to: str = "") -> Any:
    """Declare a relation; its type says of which kind it is.

    ``lines: Many[OrderLine] = related("order_id")``: the rows of the other entity whose field refers to this row.
    ``category: One[Category] = related("category_id")``: the row that a field of this one refers to, None for none.
    ``tags: Many[Tag] = related(through=ProductTag)``: the rows that the rows of an entity between (or its name) refer
    to; ``key`` and ``to`` name its two fields, where it refers to one of both more than once.

    It is loaded by ``include=`` in batches, and is left out of an answer where it was not asked for.
    """
    return Relation(key=key, through=through, to=to)


def header(name: str) -> Header:
    """Take a parameter from a request header: ``Annotated[str, header("X-Shop")]``."""
    return Header(name)
