"""The document: a channel for each event, its messages as CloudEvents, and an operation for each who sends or receives.

Schemas are those that are kept for readers, under names of this document; all of them mean the same by JSON Schema
2020-12 and by AsyncAPI's own schema objects, so that every tool reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mainstay.deliver.asyncapi.envelope import ENVELOPE, MEDIA_TYPE, enveloped, example
from mainstay.deliver.asyncapi.servers import servers_of
from mainstay.deliver.contracts.flows import Flow, Receiver, flows_of
from mainstay.deliver.contracts.proving import example_of
from mainstay.deliver.contracts.schemas import EventSchema, referring, schema_of
from mainstay.deliver.openapi.schemas import Schema
from mainstay.model.blueprint import Blueprint
from mainstay.model.operation import Operation

_RULES = (
    "Messages come at least once and may come twice: source and id tell them apart. Those of one partitionkey are "
    "in the order of their sequence. Fields that are not known here are to be ignored: events grow."
)


def asyncapi(blueprint: Blueprint, *, broker: str = "") -> bytes:
    """Return the AsyncAPI 3.0 document of a service as JSON, the same bytes for the same service.

    ``broker`` is the URL of the broker, of which nothing is told but the host; it is empty where there is none.
    """
    service = blueprint.service
    made = _Document(blueprint)
    for flow in flows_of(blueprint):
        made.add(flow)
    info: Schema = {"title": f"{service.title} events", "version": service.version}
    info["description"] = "\n\n".join(text for text in (service.description, _RULES) if text)
    info["tags"] = [{"name": module.name, "description": module.title} for module in service.modules]
    servers = servers_of(broker)
    document: Schema = {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": MEDIA_TYPE,
        **({"servers": servers} if servers else {}),
        "channels": made.channels,
        "operations": made.operations,
        "components": {
            "messages": made.messages,
            "schemas": {"CloudEvent": ENVELOPE, **dict(sorted(made.schemas.items()))},
        },
    }
    return msgspec.json.encode(document)


class _Document:
    """Collects the parts of one document."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self.channels: Schema = {}
        self.operations: Schema = {}
        self.messages: Schema = {}
        self.schemas: Schema = {}

    def add(self, flow: Flow) -> None:
        """Add an event with whoever sends and receives it."""
        channel: Schema = {"address": flow.name, "title": flow.name.rpartition(".")[2]}
        if flow.event is None:
            channel["description"] = "An event of another service, as it is read here."
        channel["messages"] = {}
        self.channels[flow.name] = channel
        if flow.event is not None:
            schema = schema_of(flow.name, flow.event, self._blueprint.shapes)
            self._add_message(flow, schema, f"{flow.name}.v{schema.version}")
            for sender in flow.senders:
                self.operations[f"send.{flow.name}.{sender.name}"] = self._sending(flow, sender)
        for receiver in flow.receivers:
            if flow.event is None and receiver.event is not None:
                schema = schema_of(flow.name, receiver.event, self._blueprint.shapes)
                self._add_message(flow, schema, f"{flow.name}.v{schema.version}.{receiver.operation.name}")
            self.operations[f"receive.{receiver.operation.name}"] = self._receiving(flow, receiver)

    def _add_message(self, flow: Flow, schema: EventSchema, key: str) -> None:
        """Add a message under a key of its own, with the schemas that it is made of."""
        reference = f"#/components/schemas/{key}"

        def told(part: str) -> str:
            return reference if part == "#" else f"{reference}.{part.rpartition('/')[2]}"

        root = {name: value for name, value in schema.schema.items() if name not in ("$schema", "$id", "$defs")}
        self.schemas[key] = referring(root, told)
        for name, inner in schema.schema.get("$defs", {}).items():
            self.schemas[f"{key}.{name}"] = referring(inner, told)
        message: Schema = {"name": flow.name, "title": f"{flow.name}, version {schema.version}"}
        if "description" in root:
            message["summary"] = root["description"]
        message |= {
            "contentType": MEDIA_TYPE,
            "correlationId": {"location": "$message.payload#/requestid"},
            "payload": enveloped(flow.name, schema.version, reference),
            "x-version": schema.version,
        }
        data = example_of(schema)
        if data is not None:
            source = self._blueprint.service.name
            message["examples"] = [{"payload": example(flow.name, schema.version, source, data)}]
        self.messages[key] = message
        self.channels[flow.name]["messages"][key] = {"$ref": f"#/components/messages/{key}"}

    def _sending(self, flow: Flow, sender: Operation) -> Schema:
        return {"action": "send", **_told(flow, sender), "x-operation": sender.name}

    def _receiving(self, flow: Flow, receiver: Receiver) -> Schema:
        versions = {"x-versions": list(receiver.versions)} if receiver.versions else {}
        return {
            "action": "receive",
            **_told(flow, receiver.operation),
            "x-operation": receiver.operation.name,
            **versions,
        }


def _told(flow: Flow, operation: Operation) -> Schema:
    made: Schema = {"channel": {"$ref": f"#/channels/{flow.name}"}}
    made |= dict(_words(operation))
    made["tags"] = [{"name": operation.module}]
    return made


def _words(operation: Operation) -> Iterator[tuple[str, str]]:
    if operation.summary:
        yield "summary", operation.summary
    if operation.description:
        yield "description", operation.description
