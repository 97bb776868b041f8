"""The documents of a service, as bytes for the doors."""

from __future__ import annotations

from collections.abc import Mapping

from mainstay.inbound.http.targets import Document
from mainstay.kernel.bind import Bound


def documents_of(bound: Bound) -> Mapping[str, Document]:  # noqa: ARG001
    """Return the documents by their path."""
    return {}
