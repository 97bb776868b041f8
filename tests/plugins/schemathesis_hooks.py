"""What Schemathesis is told of the shop: refusals that no schema can foretell, because the state decides.

Loaded by Schemathesis in a process of its own (SCHEMATHESIS_HOOKS).
"""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.openapi.checks import RejectedPositiveData

schemathesis.openapi.format("entity-tags", st.from_regex(r'\A(\*|(W/)?"[!#-~]{0,20}"(, "[!#-~]{0,20}")?)\Z'))

STATE_DECIDES = frozenset(
    {
        "cursor_invalid",  # a cursor is sealed: none can be made up
        "idempotency_key_reused",  # the key was sent before, with something else
    }
)
FAULTS_OF_STATE = frozenset(
    {
        ("forbidden_field", None),  # the caller's role decides
        ("too_long", "sort"),  # "name,-name": each field once, which JSON Schema has no words for
    }
)


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Write integers as JSON writers do: 3.0 is one to JSON Schema, and none to a decoder of 64-bit integers."""
    return _whole(body)


@schemathesis.hook
def map_query(_context: Any, query: Any) -> Any:
    """Do the same for the query string."""
    return _whole(query)


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_whole(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Drop the failure where a request that fits the schema was refused, and the state alone was the reason."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    faults = problem.get("faults")
    if faults and all((fault["code"], fault.get("parameter")) in FAULTS_OF_STATE for fault in faults):
        return False
    return problem.get("code") not in STATE_DECIDES
