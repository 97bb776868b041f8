"""OpenAPI 3.1: the contract of a service's REST door, made from the bound operations, the same bytes on every run."""

from mainstay.deliver.openapi.document import openapi

__all__ = ["openapi"]
