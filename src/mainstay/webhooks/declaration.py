"""What a team says of webhooks: ``Service("shop", webhooks=Webhooks(events=[OrderPlaced, "orders.OrderPaid"]))``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.model.builtin import BuiltIn
from mainstay.model.module import Module
from mainstay.model.operation import Source, caller_source
from mainstay.model.policy import Anyone, Policy, authenticated
from mainstay.model.structs import Event

if TYPE_CHECKING:
    from mainstay.webhooks.rules import WebhookRules


@dataclass(frozen=True, kw_only=True)
class Webhooks(BuiltIn):
    """Webhooks to those who use a service. All times are in seconds.

    ``events`` are those that are told: classes, or names as "module.Name". ``path`` is where the doors begin, and
    ``allow`` whom they are open to. ``to`` names the field of the events that holds the id of the principal whose they
    are. Without it an event is told to the tenant of whoever caused it, or where there is none to that caller alone;
    with "*" to every endpoint, and then ``allow`` says who may have one. ``endpoints`` is how many there may be of one
    tenant or owner. ``timeout_seconds`` bound an attempt, ``disable_seconds`` is how long an endpoint may fail without
    a success before it is disabled, ``keep_seconds`` how long what has ended stays on record. ``overlap_seconds`` is
    how long a replaced secret goes on, unless that is said. ``plain_http`` lets production send without TLS.
    """

    events: Sequence[type[Event] | str]
    path: str = "/webhooks"
    allow: Policy | None = None
    to: str = ""
    endpoints: int = 20
    timeout_seconds: float = 15.0
    disable_seconds: float = 5 * 86_400.0
    keep_seconds: float = 30 * 86_400.0
    overlap_seconds: int = 86_400
    plain_http: bool = False

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what cannot be meant, with the name of what was given."""
        object.__setattr__(self, "source", caller_source(2))  # of the team's line: this, and what dataclasses wrote
        if not self.path.startswith("/") or self.path.endswith("/"):
            raise ValueError(f'Webhooks(path="{self.path}"): it begins with a slash and ends with none, as "/webhooks"')
        if not self.events:
            raise ValueError("Webhooks(events=[]): name the events that are told")
        for name in ("endpoints", "timeout_seconds", "disable_seconds", "keep_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Webhooks({name}={getattr(self, name)}): it is more than 0")
        if not 0 <= self.overlap_seconds <= 7 * 86_400:
            raise ValueError(f"Webhooks(overlap_seconds={self.overlap_seconds}): it is 0 to {7 * 86_400}")
        if isinstance(self.allow, Anyone):
            raise ValueError("Webhooks(allow=anyone): who registers an endpoint is known")
        if self.to == "*" and self.allow is None:
            raise ValueError('Webhooks(to="*") tells every endpoint of every event: say with allow= who may have one')

    if TYPE_CHECKING:
        source: Source

    def modules(self) -> Sequence[Module]:
        """Return the module of this declaration: imported now, for who has none pays nothing."""
        from mainstay.webhooks.doors import open_doors, tell_of

        module = Module("webhooks", title="Webhooks")
        open_doors(module, self.path, authenticated if self.allow is None else self.allow)
        for event in self.events:
            tell_of(module, event, self.source)
        return (module,)

    def tells(self) -> Sequence[type[Event] | str]:
        """Return the events that are told."""
        return self.events

    def parts(self) -> Sequence[type[Any]]:
        """Return what its use cases are put together from, anew for each call."""
        from mainstay.webhooks.doors import PARTS

        return PARTS

    def rules(self, *, production: bool) -> WebhookRules:
        """Return the rules that are declared here."""
        from mainstay.webhooks.rules import WebhookRules

        return WebhookRules(
            to=self.to,
            most_endpoints=self.endpoints,
            plain_http=self.plain_http or not production,
            seconds=self.timeout_seconds,
            disable_seconds=self.disable_seconds,
            keep_seconds=self.keep_seconds,
            overlap_seconds=self.overlap_seconds,
        )
