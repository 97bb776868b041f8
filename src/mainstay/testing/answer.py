"""What came back from a service under test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The status, the headers (by lower-case name) and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ``msgspec.DecodeError`` where it is none."""
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def code(self) -> str | None:
        """The code of a problem, or None where the answer is none."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        return str(self.json["code"])

    def __str__(self) -> str:
        shown = self.body[:2000].decode("utf-8", "replace")
        return f"{self.status} {shown}"
