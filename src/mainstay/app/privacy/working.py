"""Working on the rows of a service as its operator: past row policies and tenants, and with nothing in the audit."""

from __future__ import annotations

from mainstay.kernel.bind import Bound
from mainstay.model.principal import Principal
from mainstay.ports.unit_of_work import Frame, UnitOfWork


def operator_unit(bound: Bound, operation: str, *, write: bool) -> UnitOfWork:
    """Return a unit of work of the system; who uses it takes rows from its transaction, as stores give them."""
    ports = bound.ports
    frame = Frame(Principal.system, operation, ports.clock, ports.ids, ports.sealer, bound.plans, ports.store)
    return UnitOfWork(frame, write=write, latest=True)
