"""What the contract says of files, forms and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

from mainstay.deliver.openapi.schemas import Components, Schema
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.validate.problems import PartMissing
from mainstay.model.operation import OperationKind
from mainstay.model.problem import PreconditionFailed, Problem, RangeNotSatisfiable
from mainstay.model.signature import Source
from mainstay.ports.blobs import BlobExists, BlobKeyInvalid, BlobMissing, Blobs

OCTETS = "application/octet-stream"
FORM = "multipart/form-data"
_FILE: Schema = {"type": "string", "contentMediaType": OCTETS}

HEADERS: dict[str, Schema] = {
    "Accept-Ranges": {
        "description": "bytes: parts can be asked for by Range (RFC 9110).",
        "schema": {"type": "string"},
    },
    "Content-Range": {
        "description": "Which bytes these are, of how many (RFC 9110).",
        "schema": {"type": "string"},
    },
    "Last-Modified": {"description": "When it was last changed.", "schema": {"type": "string"}},
}


def sends_file(bound: BoundOperation) -> bool:
    """Whether an operation gives a file that can be asked for in parts."""
    gives = bound.signature.answer[0] == "file" and bound.status == 200
    return gives and bound.operation.kind is OperationKind.QUERY


def upload_content(bound: BoundOperation, components: Components, name_of: Callable[[str], str]) -> Schema:
    """Return the content of a request that brings files: a form, and the file as it stands where that is enough."""
    signature = bound.signature
    properties: Schema = {}
    required = []
    for parameter in signature.of(Source.UPLOAD):
        many = get_origin(parameter.type) is list
        properties[parameter.name] = {"type": "array", "items": _FILE} if many else _FILE
        if parameter.required:
            required.append(parameter.name)
    for parameter in signature.of(Source.MEMBER):
        if parameter.attribute is not None:
            properties[name_of(parameter.name)] = components.value(parameter.attribute)
            if parameter.required:
                required.append(name_of(parameter.name))
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    dto = signature.of(Source.BODY)
    if dto:
        schema = {"allOf": [components.body(dto[0].target), schema]}
    return {FORM: {"schema": schema}} if signature.form else {OCTETS: {"schema": {}}, FORM: {"schema": schema}}


def file_responses() -> dict[str, Schema]:
    """Return what a file may be answered by beside the whole of it."""
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in ("ETag", "Accept-Ranges", "Last-Modified")}
    part = {**named, "Content-Range": {"$ref": "#/components/headers/Content-Range"}}
    content: Schema = {OCTETS: {"schema": {}}, "multipart/byteranges": {"schema": {}}}
    return {
        "206": {"description": "The part that Range asks for.", "headers": part, "content": content},
        "304": {"description": "It is still what the client has.", "headers": named},
    }


def stream_content(item: Schema) -> Schema:
    """Return the content of a stream: an item a line, or an item an event."""
    return {"application/x-ndjson": {"schema": item}, "text/event-stream": {"schema": item}}


def transfer_parameters(bound: BoundOperation) -> list[Schema]:
    """Return the header fields by which a part, or the rest, is asked for."""
    if any(p.resumes is not None for p in bound.signature.parameters):
        text = "The id of the last event that is known: the stream goes on after it. It is newer than the query's."
        return [_header("Last-Event-ID", text)]
    return [_header("Range", "The bytes to give, for example bytes=0-1023 (RFC 9110).")] if sends_file(bound) else []


def _header(name: str, description: str) -> Schema:
    schema: Schema = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def transfer_problems(bound: BoundOperation) -> Iterator[type[Problem]]:
    """Yield the problems that files and their stores bring."""
    signature = bound.signature
    if signature.of(Source.UPLOAD):
        yield PartMissing
    if sends_file(bound):
        yield from (PreconditionFailed, RangeNotSatisfiable)
    if any(_asks_for(p.target, Blobs) for p in signature.of(Source.DEPENDENCY)):
        yield from (BlobMissing, BlobKeyInvalid)
        if bound.operation.kind is OperationKind.COMMAND:
            yield BlobExists


def _asks_for(target: Any, port: Any) -> bool:
    return target is port or port in get_args(target)
