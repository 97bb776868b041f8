"""The schemas of events as a team keeps them: one file for each version of each event, beside the code.

``contracts/events/store.OrderPlaced.2.json`` is version 2 of ``store.OrderPlaced``: plain JSON Schema, for readers in
any language, and for comparing with what is declared. The file of another service's event may stand there too: what
reads that event is compared with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainstay.deliver.contracts.schemas import EventSchema

_NAME = re.compile(r"([A-Za-z_]\w*\.[A-Za-z_]\w*)\.([1-9][0-9]{0,8})\.json", re.ASCII)

Locked = Mapping[tuple[str, int], EventSchema]
"""The schemas that are kept, by the event's name and the version."""


class LockUnreadable(Exception):
    """A file among the kept schemas is none. The message says which, and what it should be."""


def path_of(name: str, version: int) -> str:
    """Return the name of the file of one version of an event."""
    return f"{name}.{version}.json"


def text_of(schema: EventSchema) -> bytes:
    """Return the content of a file: for people to read, the same for the same schema."""
    return msgspec.json.format(msgspec.json.encode(schema.schema), indent=2) + b"\n"


def read_lock(folder: Path) -> Locked | None:
    """Return the schemas that are kept in a folder, or None where it is not there. Raises ``LockUnreadable``."""
    if not folder.is_dir():
        return None
    found: dict[tuple[str, int], EventSchema] = {}
    for file in sorted(folder.glob("*.json")):
        known = _NAME.fullmatch(file.name)
        if known is None:
            raise LockUnreadable(f"{file}: a schema of an event is in a file module.Event.VERSION.json")
        name, version = known[1], int(known[2])
        found[name, version] = EventSchema(name=name, version=version, schema=_schema(file))
    return found


def _schema(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, OSError) as error:
        raise LockUnreadable(f"{file}: it is no JSON object: {error}") from None
