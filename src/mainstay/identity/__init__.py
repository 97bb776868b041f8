"""Identity: the accounts of a service, what they log in with, and what others may do in their name.

These are modules of the same kind as a team's own: their rows lie beside its rows, their use cases go through the same
pipeline, and their doors stand in the same contract.
"""

from mainstay.identity.declaration import Identity
from mainstay.identity.oauth.declaration import AuthorizationServer, Provider

__all__ = ["AuthorizationServer", "Identity", "Provider"]
