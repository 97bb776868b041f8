"""What the tests of issuers and providers share."""

from outgoing_http import outgoing
from outside_provider import provider

__all__ = ["outgoing", "provider"]
