"""What a call brought that is no JSON: files, and the fields of a form beside them."""

from __future__ import annotations

import msgspec

from mainstay.model.inputs import Upload


class Received(msgspec.Struct, eq=False, kw_only=True):
    """A body of files and fields, each by its name and in order. ``name`` is empty where the body itself is the file.

    ``digest`` is of all of it, where the call has an idempotency key.
    """

    files: list[tuple[str, Upload]] = []
    fields: list[tuple[str, str]] = []
    digest: bytes = b""
