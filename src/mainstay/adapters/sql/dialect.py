"""What statements and codecs must be told of a database. Each has one in ``dialects``; none holds any state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from mainstay.adapters.sql.operands import Exact, Fit
from mainstay.model.schema import Attribute, FieldKind

Take = Callable[[list[Any]], Any]
"""Takes the cells of one figure off the end of a reversed row and returns its value."""

Reading = tuple[str, Any]
"""An expression that reads a cell (``{0}``; ``{1}`` is the number of its column), and the type that msgspec converts it
to where whole lists are converted, or None."""

Telling = tuple[str, str]
"""An expression that turns a column of cells (``{0}``) into texts, and what stands behind each before the end quote."""

MAX_DIGITS = 18
"""The digits that fit an integer of 64 bits whatever they are: SQLite stores decimals so, and a service may move."""


class TableFault(Exception):
    """An entity that cannot be stored as it is declared: which field, why, and what to do."""


class Storing(NamedTuple):
    """How the values of a field are stored: the column's type, and what turns a value (never None) to and fro."""

    storage: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


class Dialect(ABC):
    """One database's ways. Statements are written with ``?`` for a value, whatever the driver's own sign is."""

    name: ClassVar[str]
    as_read: ClassVar[frozenset[FieldKind]]
    """The kinds whose values are read from the driver as they are."""
    written: ClassVar[Mapping[FieldKind, str]]
    """The kinds whose values are written as they are (an empty name), or by a function that has a name in codecs."""
    readings: ClassVar[Mapping[FieldKind, Reading]]
    """How the other kinds are read, where it is not by their decoder."""
    columnwise: ClassVar[Mapping[FieldKind, str]] = MappingProxyType({})
    """The kinds whose columns are read as a whole where rows are many, and the names of what reads one."""
    functions: ClassVar[Mapping[str, Callable[..., Any]]] = MappingProxyType({})
    """What readings and whole columns name that codecs do not have by themselves."""
    converted: ClassVar[Mapping[str, type]]
    """The Python types of the columns' types, where msgspec converts lists of rows; empty where nothing is gained."""
    tells: ClassVar[bool] = False
    """Whether rows of a page are told in JSON without entities, where nobody looks: where that is less work."""
    listable: ClassVar[frozenset[FieldKind]]
    """The kinds whose values can be bound as one list."""
    locking: ClassVar[str] = ""
    """What a read of one row ends with, so that nobody else changes the row meanwhile."""
    nulls_placed: ClassVar[bool] = False
    """Whether an index must say that null comes first, to give that order."""
    indexes_if_absent: ClassVar[bool] = True
    """Whether an index can be made where it is not there; else making it again fails."""
    partial_indexes: ClassVar[bool] = True
    """Whether an index can be over some of the rows only."""
    few: ClassVar[int]
    """Up to so many members of a list are bound one by one, even where one list could be bound."""

    @abstractmethod
    def storing(self, attribute: Attribute) -> Storing:
        """Return how a field is stored. Raises ``TableFault`` where it cannot be."""

    def bound(self, attribute: Attribute) -> int | None:  # noqa: ARG002 - most columns take any length
        """Return how long the values of a text or byte column may be, or None. Raises ``TableFault``."""
        return None

    def check_key(self, attributes: Sequence[Attribute]) -> None:  # noqa: ARG002 - most keys take any length
        """Raise ``TableFault`` where the values of these fields together are too long for a unique key."""
        return

    def index_options(self, attribute: Attribute) -> Mapping[str, Any]:  # noqa: ARG002 - an index holds any value
        """Return what SQLAlchemy must be told of an index over a field."""
        return {}

    @property
    def table_options(self) -> Mapping[str, Any]:
        """What SQLAlchemy must be told of every table."""
        return {}

    @abstractmethod
    def exact(self, attribute: Attribute) -> Callable[[str], Exact] | None:
        """Return what binds values of a field's own type, by operator, or None where they have no order."""

    @abstractmethod
    def fit(self, attribute: Attribute) -> Fit:
        """Return what binds a number, given in steps of the field's last place."""

    @abstractmethod
    def plain(self, value: Any) -> Any:
        """Return what binds a value whose column is not known. Raises ``Unstorable`` where that depends on it."""

    def list_of(self, members: Sequence[Any]) -> Any:  # noqa: ARG002 - a dialect that has listable kinds says how
        """Return what binds a list of values as one."""
        raise TypeError(f"{self.name} binds no lists")

    def listed(self, column: str) -> str:  # noqa: ARG002 - as above
        """Return the expression that a column is in a list that is bound as one."""
        raise TypeError(f"{self.name} binds no lists")

    @abstractmethod
    def contains(self, column: str) -> str:
        """Return the expression that a column contains a text, letter case as it stands."""

    @abstractmethod
    def compared(self, column: str, attribute: Attribute, places: int) -> str:
        """Return a column as it is compared with another one, which has so many places fewer (or more, below 0)."""

    @abstractmethod
    def ordered(self, column: str, *, descending: bool, optional: bool) -> str:
        """Return a term of an order in which null comes before every value."""

    @abstractmethod
    def extreme(self, function: str, column: str, attribute: Attribute) -> str:
        """Return the ``min`` or ``max`` of a column."""

    @abstractmethod
    def total(self, column: str, attribute: Attribute, decode: Callable[[Any], Any]) -> tuple[list[str], Take]:
        """Return what is selected for an exact sum, and what makes it of the cells."""

    def selected(self, column: str, attribute: Attribute) -> str:  # noqa: ARG002 - as it is
        """Return what is selected of a column to read its values, by a name that nothing is ordered by."""
        return column

    def kept(self, column: str, attribute: Attribute) -> str:
        """Return what is selected of a column where values may be told in JSON without a look at them."""
        return self.selected(column, attribute)

    def told(self, attribute: Attribute) -> Telling | None:  # noqa: ARG002 - by msgspec, of the values
        """Return how a column of cells without null is told in JSON; None where values must be made of them first."""
        return None

    def insert_many(self, source: str, columns: str, storages: Sequence[str]) -> str | None:  # noqa: ARG002 - none
        """Return the insertion of any number of rows that takes a list of each column, or None where there is none."""
        return None

    def same(self, column: str, other: str, attribute: Attribute) -> str:  # noqa: ARG002 - of most kinds
        """Return the expression that two values of a column are the same, or that both are null."""
        return f"{column} IS NOT DISTINCT FROM {other}"

    def aside(self, expression: str) -> str:
        """Return a condition so that rows are not looked for by it, where another finds them."""
        return expression

    def quoted(self, name: str) -> str:
        """Return a name as it stands in a statement, whatever is in it."""
        return '"' + name.replace('"', '""') + '"'
