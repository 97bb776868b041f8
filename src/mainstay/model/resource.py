"""A resource: an entity that is served without code."""

from __future__ import annotations

from datetime import date

import msgspec

from mainstay.model.caching import Caching
from mainstay.model.limits import Limit
from mainstay.model.operation import Source
from mainstay.model.policy import Policy, owner_fields
from mainstay.model.structs import Entity


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """An entity served under a path by operations that need no code: list, get, create, update, delete.

    A verb whose policy is None is not served.
    """

    entity: type[Entity]
    path: str
    one: str  # the name of one row
    read: Policy | None
    create: Policy | None
    update: Policy | None
    delete: Policy | None
    limits: tuple[Limit, ...]
    precondition: bool
    source: Source
    cache: Caching | None = None
    deprecated: bool | date = False
    sunset: date | None = None
    successor: str | None = None
    since: str | None = None
    until: str | None = None

    @property
    def name(self) -> str:
        """The name of many rows: the end of the path."""
        return self.path.strip("/").split("/")[-1].replace("-", "_")

    def routes(self) -> list[tuple[str, str, str]]:
        """Return (verb, method, path) of each verb that is served."""
        one = f"{self.path}/{{id}}"
        served = [
            ("list", "GET", self.path, self.read),
            ("get", "GET", one, self.read),
            ("create", "POST", self.path, self.create),
            ("update", "PATCH", one, self.update),
            ("delete", "DELETE", one, self.delete),
        ]
        return [(verb, method, path) for verb, method, path, policy in served if policy is not None]

    def operation_name(self, verb: str) -> str:
        """Return the name of a verb's operation: ``list_products``, ``get_product``, ``create_product``."""
        return f"{verb}_{self.name}" if verb == "list" else f"{verb}_{self.one}"

    def policy(self, verb: str) -> Policy | None:
        """Return the policy of a verb."""
        policies = {"list": self.read, "get": self.read, "create": self.create, "update": self.update}
        return policies.get(verb, self.delete)

    def owners(self, verb: str) -> tuple[str, ...]:
        """Return the owner fields that the body of a verb does not set, beside those of the rows' own policy.

        On create they are set from the caller; after that no body changes whose a row is, under whatever verb.
        """
        policies = (self.create,) if verb == "create" else (self.read, self.create, self.update, self.delete)
        return tuple(dict.fromkeys(name for p in policies if p is not None for name in owner_fields(p)))
