"""Two callers who must never learn of each other: every operation of a service is tried, by every door that it has.

A test of a team's own service::

    async def test_two_people(client: Client) -> None:
        (await examine(client, as_principal("ann"), as_principal("bob"))).check()

Rows are made up (extra ``seed``), unless the test has added its own. ``examine_bodies`` does the same for what a body
may set: ids, versions, times, owners, tenants and read-only fields never come from one.
"""

from mainstay.testing.apart.assignment import examine_bodies
from mainstay.testing.apart.examining import examine
from mainstay.testing.apart.report import Finding, Report

__all__ = ["Finding", "Report", "examine", "examine_bodies"]
