"""Webhooks that a service sends: its customers register endpoints, and are told of events there, signed and retried.

It is a module of the same kind as a team's own: its rows lie beside the service's rows, its doors stand in the same
contract, and what it is told of it hears as a consumer. Messages follow https://www.standardwebhooks.com.
"""

from mainstay.webhooks.declaration import Webhooks

__all__ = ["Webhooks"]
