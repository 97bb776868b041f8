"""The rules of compatibility, each with what is said of a breach in either direction, and what mends it.

Every rule is about a reader and a writer: what the writer may write, the reader must read. Backward, the reader is the
schema of now and the writer that of before; forward it is the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

import msgspec


class Telling(NamedTuple):
    """What is said of a breach of one rule. ``reader`` and ``writer`` in it are what the two schemas say."""

    backward: str
    remedy_backward: str
    forward: str
    remedy_forward: str
    reading: str  # of a consumer that reads what this service emits now


class Rule(Enum):
    """What must hold for every value that is written and read."""

    FIELD_MISSING = Telling(
        "is new and required: what was emitted before lacks it",
        "give it a default",
        "was removed: whoever reads by the schema of before requires it",
        "put it back",
        "it has no such field",
    )
    FIELD_OPTIONAL = Telling(
        "became required: what was emitted before may lack it",
        "keep its default",
        "became optional: whoever reads by the schema of before requires it",
        "have it required, as it was",
        "it may lack that field: give it a default",
    )
    FIELD_REFUSED = Telling(
        "was removed from a struct that refuses fields which it does not know: what was emitted before has it",
        'put it back, or declare the struct with unknown="ignore"',
        "was added to a struct that refuses fields which it does not know: readers of before refuse it",
        'leave it out; a struct of events is best declared with unknown="ignore" from the start',
        "it has that field, and the class refuses what it does not know",
    )
    TYPE_CHANGED = Telling(
        "its type is {reader} and was {writer}: what was emitted before is {writer}",
        "keep its type, or add a field of another name",
        "its type is {writer} and was {reader}: whoever reads by the schema of before expects {reader}",
        "keep its type, or add a field of another name",
        "it is {writer} there, and {reader} here",
    )
    NULL_REFUSED = Telling(
        "may not be null any more: what was emitted before may be",
        "let it be null",
        "may be null: whoever reads by the schema of before refuses that",
        "do not let it be null, or add a field of another name",
        "it may be null there",
    )
    VALUE_REFUSED = Telling(
        "values were removed: {values}; what was emitted before may have them",
        "put them back",
        "values were added: {values}; whoever reads by the schema of before refuses them",
        "leave them out until a new version",
        "it may be {values} there",
    )
    VALUES_UNBOUND = Telling(
        "is now one of {values}: what was emitted before may be another",
        "let it be any value of its type",
        "was one of {values} and may now be another: whoever reads by the schema of before refuses that",
        "keep its values",
        "it may be another than {values} there",
    )
    BOUND_NARROWER = Telling(
        "its {bound} is {reader} and was {writer}: what was emitted before may be outside",
        "keep the bound",
        "its {bound} is {writer} and was {reader}: whoever reads by the schema of before refuses what is outside",
        "keep the bound",
        "its {bound} is {writer} there, and {reader} here",
    )
    PATTERN_CHANGED = Telling(
        "its pattern is another one, or is new: what was emitted before may not match",
        "keep the pattern",
        "its pattern is another one, or is gone: whoever reads by the schema of before may refuse it",
        "keep the pattern",
        "it need not match the pattern of the class there",
    )
    FORMAT_CHANGED = Telling(
        "its format is {reader} and was {writer}",
        "keep the format",
        "its format is {writer} and was {reader}: whoever reads by the schema of before expects {reader}",
        "keep the format",
        "its format is {writer} there, and {reader} here",
    )


class Breach(msgspec.Struct, frozen=True):
    """A place where a reader may not read what a writer writes. ``facts`` fill the sentences of its rule."""

    where: str
    rule: Rule
    facts: Mapping[str, str]
