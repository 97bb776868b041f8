"""``cedar("policies/orders.cedar", resource="Order")``: a policy of ours that stands in a Cedar file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mainstay.adapters.cedar.schema import CLAIM_TYPES, ROW_ACTIONS, WHOLE, schema_of
from mainstay.adapters.cedar.statements import Statement, complaints, parsed, statements_of
from mainstay.adapters.cedar.terms import Scene
from mainstay.adapters.cedar.translation import translated
from mainstay.model.conditions import FALSE, TRUE, Condition
from mainstay.model.operation import Source, caller_source
from mainstay.model.policy import Known, Policy, Role, RowPolicy, anyone
from mainstay.model.principal import Principal


class Translated(Policy, frozen=True):
    """What Cedar files come to. The service itself is allowed, and nobody that is not known."""

    policy: Policy
    told: str

    def reduce(self, who: Principal) -> Condition:
        if who.is_system or not who.authenticated:
            return TRUE if who.is_system else FALSE
        return self.policy.reduce(who)

    def opposite(self, who: Principal) -> Condition:
        if who.is_system or not who.authenticated:
            return FALSE
        return self.policy.opposite(who)

    def parts(self) -> Iterator[Policy]:
        yield self
        yield from self.policy.parts()

    @property
    def circumstantial(self) -> bool:
        return self.policy.circumstantial

    def __repr__(self) -> str:
        return self.told


class Cedar(Policy, frozen=True):
    """A leaf that stands for the policies of Cedar files."""

    path: Path
    action: str
    resource: str
    claims: Mapping[str, type]
    source: Source
    read: dict[Any, Policy] = {}  # the files, once they were read for rows of some types: what runs does not change

    def reduce(self, who: Principal) -> Condition:
        return self.prepared({}).reduce(who)

    def opposite(self, who: Principal) -> Condition:
        return self.prepared({}).opposite(who)

    def prepared(self, types: Mapping[str, Any]) -> Policy:
        key = tuple(types.items())
        if key not in self.read:
            scene = Scene(self.action, self.resource, types, self.claims)
            policy = translated([parsed(one) for one in statements_of(self.path)], scene)
            self.read[key] = Translated(policy, repr(self))
        return self.read[key]

    @property
    def circumstantial(self) -> bool:
        return self.prepared({}).circumstantial

    def faults(self, known: Known) -> Iterator[tuple[Any, str]]:
        try:
            self._check(known)
            statements = statements_of(self.path)
        except ImportError:
            yield self.source, f"{self!r}: Cedar is not installed: pip install 'mainstay[policy]'"
        except (OSError, UnicodeDecodeError) as error:
            yield self.source, f"{self!r}: {self.path} cannot be read: {error}"
        except ValueError as error:
            yield self.source, f"{self!r}: {error}"
        else:
            for one in statements:
                for message in self._faults_of(one, known):
                    yield Source(one.file, one.line), f"{self!r}: {message}"

    def _check(self, known: Known) -> None:
        """Raise ``ValueError`` where it is asked of something else, or ``ImportError`` without Cedar."""
        import cedarpy  # noqa: F401 - to find out whether it is there

        named = WHOLE if known.shape is None else known.shape.name
        if self.resource != named:
            raise ValueError(f"it is asked of {named}, and says resource={self.resource!r}")
        if self.action not in known.operations | ROW_ACTIONS:
            raise ValueError(f"no operation and no verb of rows is named {self.action!r}")

    def _faults_of(self, statement: Statement, known: Known) -> list[str]:
        """Return what is wrong with a statement: in Cedar's eyes, else what of it cannot be said by our policies."""
        try:
            found = complaints(statement, schema_of(known.shape, self.claims, known.operations | ROW_ACTIONS))
            types = {} if known.shape is None else known.shape.types
            policy = anyone if found else translated([parsed(statement)], Scene("", self.resource, types, self.claims))
        except ValueError as error:
            return [str(error)]
        named = {name for part in policy.parts() if isinstance(part, Role) for name in part.names}
        unknown = sorted(named - known.roles) if known.roles is not None else []
        return [*found, *(f"role {name!r} is not declared in roles=" for name in unknown)]

    def __repr__(self) -> str:
        return f"cedar({self.path.name!r}, {self.action!r})"


class CedarRows(Cedar, RowPolicy, frozen=True):
    """Rows that Cedar policies allow."""


class CedarCalls(Cedar, frozen=True):
    """Calls that Cedar policies allow, whatever rows they are about."""


def cedar(
    path: str | Path,
    action: str = "read",
    *,
    resource: str | None = None,
    claims: Mapping[str, type] = MappingProxyType({}),
) -> Policy:
    """Allow what the Cedar policies of a file, or of all ``*.cedar`` files of a folder, allow.

    ``resource`` is the entity of the rows; without it the policy is of an operation, which looks at no row. ``action``
    is one of ``read``, ``create``, ``update`` and ``delete``, or the name of an operation. ``claims`` are those that
    policies ask of the caller, with ``str``, ``int`` or ``bool``. A relative path begins at the file of the call.

    A start-up fault names file and line of what does not parse, fails Cedar's strict validation or has no SQL form.
    Raises ``ValueError`` for a claim of another type.
    """
    unknown = [name for name, type_ in claims.items() if type_ not in CLAIM_TYPES]
    if unknown:
        raise ValueError(f"cedar: claim {unknown[0]!r} is none of str, int, bool")
    source = caller_source(1)
    place = Path(source.file).parent / path
    if resource is None:
        return CedarCalls(place, action, WHOLE, claims, source)
    return CedarRows(place, action, resource, claims, source)
