"""What the tests of OAuth and OpenID Connect share."""

from oauth_world import world
from outside_provider import provider

__all__ = ["provider", "world"]
