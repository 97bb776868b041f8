"""Personal data: whose the rows of an entity are, and what becomes of them when that person is to be forgotten."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Erasure = Literal["delete", "anonymise", "keep"]


class Person(msgspec.Struct, frozen=True):
    """Whose the rows of an entity are, as ``person=`` was given it.

    ``field`` holds the person's id, or refers to a row that is the person's; "id" says that each row is a person.
    """

    field: str
    erase: Erasure = "delete"
    reason: str = ""


def person(field: str, /, *, erase: Erasure = "delete", reason: str = "") -> Person:
    """Say whose the rows of an entity are, and what becomes of them when that person is erased.

    ``class Invoice(Entity, person=person("customer_id", erase="keep", reason="tax law, 10 years"))``

    ``field`` holds the id of a person (what ``Principal.id`` is), or refers to a row of another entity that says
    ``person=`` itself: then the row is whose that row is. "delete" deletes a row, "anonymise" empties its ``personal``
    fields and the field that names the person, and "keep" leaves it as it is, for a reason that is told. What does not
    fit is told at start-up.
    """
    return Person(field, erase, reason)


def named(given: str | Person) -> Person:
    """Return what ``person=`` was given, in full. Raises ``TypeError`` for anything else."""
    if isinstance(given, Person):
        return given
    if isinstance(given, str):
        return Person(given)
    raise TypeError(f'person={given!r}: it names a field, or is person("field", erase=...)')


ERASURES: tuple[str, ...] = get_args(Erasure)
"""What may become of a row."""
