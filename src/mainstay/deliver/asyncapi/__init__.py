"""AsyncAPI 3.0: the events of a service, who sends and who receives them, the same bytes on every run."""

from mainstay.deliver.asyncapi.document import asyncapi

__all__ = ["asyncapi"]
