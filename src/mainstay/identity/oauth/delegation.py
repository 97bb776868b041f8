"""What a client may do in the name of an account: what its scopes say, and nothing else that the account may."""

from __future__ import annotations

from mainstay.identity.sessions.issuing import DELEGATED
from mainstay.model.operation import SelfAuthenticated, Signed
from mainstay.model.policy import CallPolicy, Policy, Scope
from mainstay.model.principal import Principal


class Firsthand(CallPolicy, frozen=True):
    """Every caller but a client that acts for somebody else."""

    def allows(self, who: Principal) -> bool:
        return who.claims.get(DELEGATED) is not True

    def __repr__(self) -> str:
        return "firsthand"


firsthand: Policy = Firsthand()


def narrowed(policy: Policy) -> Policy:
    """Return the policy of an operation as it counts where clients act for accounts.

    An operation is open to them where its policy names a scope: whoever wrote that has thought of clients. Elsewhere a
    client would have the whole reach of an account that only meant to show its name.
    """
    if any(isinstance(part, Scope | Signed | SelfAuthenticated) for part in policy.parts()):
        return policy
    return policy & firsthand
