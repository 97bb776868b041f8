"""What the tests of OAuth and OpenID Connect share."""

from oauth_world import world
from outgoing_http import outgoing
from outside_provider import provider

__all__ = ["outgoing", "provider", "world"]
