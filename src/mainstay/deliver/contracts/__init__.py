"""Contracts of events: a JSON Schema for each version of each, kept in files, and compared with what is declared."""

from mainstay.deliver.contracts.compatibility import Change, Compatibility, Direction, compare
from mainstay.deliver.contracts.differing import Difference, EventDifference, differences
from mainstay.deliver.contracts.flows import Flow, flows_of
from mainstay.deliver.contracts.judging import Verdict, judge
from mainstay.deliver.contracts.lock import Locked, LockUnreadable, path_of, read_lock, text_of
from mainstay.deliver.contracts.schemas import EventSchema, schema_of, schemas_of

__all__ = [
    "Change",
    "Compatibility",
    "Difference",
    "Direction",
    "EventDifference",
    "EventSchema",
    "Flow",
    "LockUnreadable",
    "Locked",
    "Verdict",
    "compare",
    "differences",
    "flows_of",
    "judge",
    "path_of",
    "read_lock",
    "schema_of",
    "schemas_of",
    "text_of",
]
