"""The page of events: each with who sends and receives it, and what is in its messages. It is read without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from mainstay.deliver.contracts import Flow, flows_of, schema_of
from mainstay.deliver.contracts.differing import walked
from mainstay.deliver.contracts.flows import Receiver
from mainstay.deliver.contracts.proving import example_of
from mainstay.deliver.contracts.schemas import EventSchema
from mainstay.deliver.docs.files import DocsFile, escaped
from mainstay.model.blueprint import Blueprint
from mainstay.model.operation import Operation

EVENTS: Final = "/docs/events"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="events.css">
<link rel="icon" href="data:,">
</head>
<body>
<header>
<h1>{title}</h1>
<p><a href="../docs">API</a> <a href="../asyncapi.json">AsyncAPI document</a></p>
</header>
<nav>
<ul>
{listed}
</ul>
</nav>
<main>
{events}
</main>
</body>
</html>
"""
_STYLE: Final = """:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { margin: 0 auto; max-width: 70rem; padding: 0 1.25rem 4rem; }
header a { margin-right: 1rem; }
nav ul { columns: 16rem; padding-left: 1.25rem; }
section { border-top: 1px solid #8888; margin-top: 2rem; }
h2 { font-family: ui-monospace, monospace; font-size: 1.25rem; overflow-wrap: anywhere; }
.version { border: 1px solid #8888; border-radius: 0.5rem; font-size: 0.8rem; padding: 0.1rem 0.5rem; }
dl { display: grid; gap: 0 1rem; grid-template-columns: max-content 1fr; }
dt { font-weight: 600; }
dd { margin: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: 0.35rem 0.75rem 0.35rem 0; text-align: left; vertical-align: top; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
pre { background: #8882; border-radius: 0.5rem; overflow-x: auto; padding: 0.75rem 1rem; }
"""


def events_files(blueprint: Blueprint) -> list[DocsFile]:
    """Return the page of a service's events and its style; none for a service that has no events."""
    flows = flows_of(blueprint)
    if not flows:
        return []
    listed = "\n".join(f'<li><a href="#{escaped(flow.name)}">{escaped(flow.name)}</a></li>' for flow in flows)
    events = "\n".join(_section(blueprint, flow) for flow in flows)
    page = _PAGE.format(title=escaped(f"{blueprint.service.title}: events"), listed=listed, events=events)
    return [
        DocsFile(EVENTS, page.encode(), "text/html; charset=utf-8", (("content-security-policy", _POLICY),)),
        DocsFile("/docs/events.css", _STYLE.encode(), "text/css; charset=utf-8"),
    ]


def _section(blueprint: Blueprint, flow: Flow) -> str:
    schemas = dict(_schemas(blueprint, flow))
    one = next(iter(schemas.values())) if flow.event is not None else None
    version = f' <span class="version">version {one.version}</span>' if one is not None else ""
    parts = [
        f'<section id="{escaped(flow.name)}">',
        f"<h2>{escaped(flow.name)}{version}</h2>",
        *_about(one),
        "<dl>",
        *_parties("Sent by", [_operation(sender) for sender in flow.senders]),
        *_parties("Received by", [_receiver(receiver) for receiver in flow.receivers]),
        "</dl>",
    ]
    for heading, schema in schemas.items():
        parts += [f"<h3>{escaped(heading)}</h3>", *_fields(schema), *_example(schema)]
    return "\n".join([*parts, "</section>"])


def _schemas(blueprint: Blueprint, flow: Flow) -> Iterator[tuple[str, EventSchema]]:
    """Walk what is to be shown of an event: its fields or, of another service's, what each reader takes of it."""
    if flow.event is not None:
        yield "Fields", schema_of(flow.name, flow.event, blueprint.shapes)
        return
    for receiver in flow.receivers:
        if receiver.event is not None:
            heading = f"What {receiver.operation.name} reads"
            yield heading, schema_of(flow.name, receiver.event, blueprint.shapes)


def _about(schema: EventSchema | None) -> Iterator[str]:
    if schema is None:
        yield "<p>An event of another service.</p>"
    elif "description" in schema.schema:
        yield f"<p>{escaped(schema.schema['description'])}</p>"


def _parties(what: str, told: list[str]) -> Iterator[str]:
    for place, one in enumerate(told):
        yield f"<dt>{what if place == 0 else ''}</dt><dd>{one}</dd>"


def _operation(operation: Operation) -> str:
    summary = f" {escaped(operation.summary)}" if operation.summary else ""
    return f"<code>{escaped(f'{operation.module}.{operation.name}')}</code>{summary}"


def _receiver(receiver: Receiver) -> str:
    versions = ", ".join(map(str, receiver.versions))
    return _operation(receiver.operation) + (f" <small>(versions taken: {versions})</small>" if versions else "")


def _fields(schema: EventSchema) -> Iterator[str]:
    yield "<table>"
    yield "<tr><th>Field</th><th>Value</th><th>Meaning</th></tr>"
    for place in walked(schema.schema):
        if place.where:
            cells = (f"<code>{escaped(place.where[1:])}</code>", escaped(place.summary), escaped(place.description))
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</table>"


def _example(schema: EventSchema) -> Iterator[str]:
    found: Mapping[str, Any] | None = example_of(schema)
    if found is not None:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        yield f"<pre>{escaped(text)}</pre>"
