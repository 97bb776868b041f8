"""What an event travels in: a CloudEvent 1.0 in its structured JSON form, with the attributes that are added to it."""

from __future__ import annotations

from typing import Any

from mainstay.deliver.openapi.schemas import Schema

MEDIA_TYPE = "application/cloudevents+json"
_DIGITS = "^[0-9]{1,19}$"

ENVELOPE: Schema = {
    "type": "object",
    "description": (
        "A CloudEvent 1.0 in its structured JSON form. It may come more than once: its source and id say which it is."
    ),
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0", "description": "The version of CloudEvents."},
        "id": {"type": "string", "format": "uuid", "description": "The event's own: the same each time it comes."},
        "source": {"type": "string", "minLength": 1, "description": "The service that has emitted it."},
        "type": {"type": "string", "minLength": 1, "description": "The event: its module, a dot, its name."},
        "time": {"type": "string", "format": "date-time", "description": "When it was emitted."},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "format": "uri", "description": "The JSON Schema of its data, if it is told."},
        "dataversion": {
            "type": "string",
            "pattern": "^[1-9][0-9]{0,8}$",
            "description": "The version of the event, which its data has the schema of; 1 where it is not told.",
        },
        "partitionkey": {"type": "string", "maxLength": 512, "description": "What its order is kept by."},
        "sequence": {
            "type": "string",
            "pattern": _DIGITS,
            "description": "Its place among those of its source and key: a number that grows with each of them.",
        },
        "previous": {
            "type": "string",
            "pattern": _DIGITS,
            "description": "The sequence of the one before it of its source and key; absent where there is none.",
        },
        "principal": {"type": "string", "description": "Whom it was emitted for, as JSON text."},
        "requestid": {"type": "string", "maxLength": 512, "description": "Of the call that has emitted it."},
        "traceparent": {"type": "string", "description": "Of that call (W3C Trace Context)."},
    },
}


def enveloped(name: str, version: int, data: str) -> Schema:
    """Return the schema of a whole message: the envelope around data, which is the schema that ``data`` refers to."""
    told: Schema = {"const": str(version)}
    need = ["data"] if version == 1 else ["data", "dataversion"]
    own: Schema = {
        "type": "object",
        "required": need,
        "properties": {"type": {"const": name}, "dataversion": told, "data": {"$ref": data}},
    }
    return {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, own]}


def example(name: str, version: int, source: str, data: Any) -> dict[str, Any]:
    """Return an example of a whole message, the same on every run."""
    told: dict[str, Any] = {
        "specversion": "1.0",
        "id": "0199c0de-0000-7000-8000-000000000001",
        "source": source,
        "type": name,
        "time": "2026-01-31T09:30:00Z",
        "datacontenttype": "application/json",
        "partitionkey": "0199c0de-0000-7000-8000-000000000002",
        "sequence": "1769851800000000",
        "requestid": "0199c0de-0000-7000-8000-000000000003",
    }
    version_told = {} if version == 1 else {"dataversion": str(version)}
    return {**told, **version_told, "data": data}
