"""The matrix: all operations, rows and fields of a service, and what each of some callers may do with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

import msgspec

from mainstay.app.authorising.subjects import allowed_by, masks_of, plans_of, rows_by, shapes_of
from mainstay.app.authorising.verdicts import told, whole
from mainstay.kernel.bind import Bound
from mainstay.model.conditions import FALSE, TRUE, Condition
from mainstay.model.operation import OperationKind
from mainstay.model.policy import Policy, Role, Scope
from mainstay.model.policy_checks import placed_policies
from mainstay.model.principal import Principal
from mainstay.model.schema import Shape

SOMEONE = UUID(int=2)
"""The id of the callers that the matrix makes up: the same on every run."""

PLAIN = "someone"
"""The caller who is known, and nothing more."""

Cells = dict[str, dict[str, str]]
"""What each caller may do with each thing: "yes", "no", or the rows, in words."""


class Matrix(msgspec.Struct, kw_only=True):
    """The whole table. ``rows`` are those of entities; ``fields`` those with a policy of their own."""

    service: str
    version: str
    subjects: list[str]
    operations: Cells
    rows: Cells
    fields: Cells

    def cells(self) -> Iterator[tuple[str, str, str, str]]:
        """Walk (kind, name, subject, verdict) of all cells."""
        for kind, cells in (("operation", self.operations), ("rows", self.rows), ("field", self.fields)):
            for name, verdicts in cells.items():
                for subject, verdict in verdicts.items():
                    yield kind, name, subject, verdict


def subjects_of(bound: Bound) -> dict[str, Principal]:
    """Return the callers that a service tells apart: nobody, someone, and someone with each role and each scope."""
    parts = [part for placed in placed_policies(bound.blueprint) for part in placed.policy.parts()]
    roles = {name for part in parts if isinstance(part, Role) for name in part.names} | set(bound.service.roles or ())
    scopes = {name for part in parts if isinstance(part, Scope) for name in part.names}
    found = {"nobody": Principal.anonymous, PLAIN: Principal(id=SOMEONE, subject="someone")}
    for name in sorted(roles):
        found[f"role {name}"] = Principal(id=SOMEONE, subject="someone", roles=frozenset({name}))
    for name in sorted(scopes):
        found[f"scope {name}"] = Principal(id=SOMEONE, subject="someone", scopes=frozenset({name}))
    return found


def draw_matrix(bound: Bound, subjects: Mapping[str, Principal]) -> Matrix:
    """Return what each of these callers may do."""
    callers = {name: whole(who, bound.service, bound.ports.clock) for name, who in subjects.items()}
    operations: Cells = {}
    rows: Cells = {}
    fields: Cells = {}
    for one in bound.operations:
        if one.operation.kind is OperationKind.CONSUMER:
            continue  # it runs as whoever its event came from
        operations[one.name] = _cells(allowed_by(bound, one), callers)
        for plan in plans_of(bound, one):
            rows.setdefault(plan.shape.name, _cells(rows_by(plan), callers))
        for shape in shapes_of(bound, one):
            fields.update(_masks(shape, callers))
    return Matrix(
        service=bound.service.name,
        version=bound.service.version,
        subjects=list(subjects),
        operations=dict(sorted(operations.items())),
        rows=dict(sorted(rows.items())),
        fields=dict(sorted(fields.items())),
    )


def _masks(shape: Shape, callers: Mapping[str, Principal]) -> Cells:
    return {
        f"{shape.name}.{name} {verb}": _cells(policy, callers)
        for name, read, write in masks_of(shape)
        for verb, policy in (("read", read), ("write", write))
        if policy is not None
    }


def _cells(policy: Policy, callers: Mapping[str, Principal]) -> dict[str, str]:
    return {name: _cell(policy.reduce(who), who) for name, who in callers.items()}


def _cell(condition: Condition, who: Principal) -> str:
    if condition == TRUE:
        return "yes"
    return "no" if condition == FALSE else told(condition, who)
