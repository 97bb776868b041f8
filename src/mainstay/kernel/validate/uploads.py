"""Files that a call brought, and the fields of a form beside them, to the parameters of a use case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_origin

import msgspec

from mainstay.kernel.call import Call
from mainstay.kernel.received import Received
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.parameters import Inputs, Part
from mainstay.kernel.validate.problems import PartMissing
from mainstay.kernel.validate.text import INTEGER, NUMBER
from mainstay.model.inputs import Upload
from mainstay.model.principal import Principal
from mainstay.model.problem import TooLarge
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.signature import Parameter

ReadFields = Callable[[bytes, Principal], Mapping[str, Any]]
"""Makes inputs of the JSON text of a form's fields, or raises all their faults."""

_SWITCHES: Mapping[str, bool] = {"true": True, "false": False, "on": True}
_JSON = (FieldKind.STRUCT, FieldKind.MAP, FieldKind.ANY)


def upload_part(
    uploads: Sequence[Parameter],
    limits: InputLimits,
    fields: Mapping[str, Attribute] | None = None,
    read_fields: ReadFields | None = None,
) -> Part:
    """Return what takes the files of a call, and its fields where the use case has any (by their names in the form).

    A lone upload is the part of its name, or the first file; one among several, and each of a list, goes by its name.
    """
    takers = tuple((p, get_origin(p.type) is list) for p in uploads)
    alone = len(uploads) == 1

    def part(call: Call, inputs: Inputs) -> None:
        body = call.body
        received = body if isinstance(body, Received) else _raw(call)
        for _, upload in received.files:
            if upload.size > limits.upload:
                raise TooLarge(f"a file may have {limits.upload} bytes", limit=limits.upload)
        if read_fields is not None and fields is not None:
            inputs.update(read_fields(_as_json(received, fields), call.principal))
        missing = []
        for parameter, many in takers:
            found = _named(received, parameter.name, alone)
            if found:
                inputs[parameter.name] = found if many else found[0]
            elif parameter.required:
                missing.append(parameter.name)
            else:
                inputs[parameter.name] = parameter.default
        if missing:
            raise PartMissing(f"send the file as a part with a filename: {', '.join(missing)}", parts=missing)

    return part


def _raw(call: Call) -> Received:
    """Return what was received of a body that is bytes: of a protocol that has no files of its own."""
    content = call.body if isinstance(call.body, bytes) else b""
    media = call.media_type or "application/octet-stream"
    return Received(files=[("", Upload(content, media_type=media, filename=call.filename))])


def _named(received: Received, name: str, alone: bool) -> list[Upload]:
    found = [upload for told, upload in received.files if told == name]
    return [upload for _, upload in received.files] if alone and not found else found


def _as_json(received: Received, attributes: Mapping[str, Attribute]) -> bytes:
    """Return the fields of a form as the JSON text that says the same, so that they meet the same checks."""
    texts: dict[str, list[str]] = {}
    for name, text in received.fields:
        texts.setdefault(name, []).append(text)
    body: dict[str, Any] = {}
    for name, given in texts.items():
        attribute = attributes.get(name)
        if attribute is None:
            body[name] = given[0]
        elif attribute.kind is FieldKind.LIST:
            items = attribute.items
            body[name] = [text if items is None else _value(items, text) for text in given]
        else:
            values = [_value(attribute, text) for text in given]
            body[name] = values[0] if len(values) == 1 else values
    return msgspec.json.encode(body)


def _value(attribute: Attribute, text: str) -> Any:
    """Return what a text stands for; one that is no value of its type stays a text, and is refused as such."""
    kind = attribute.kind
    if kind is FieldKind.STRING:
        return text
    if not text and attribute.optional:
        return None  # a form sends what was left blank as empty
    if kind is FieldKind.BOOLEAN:
        return _SWITCHES.get(text, text)
    if (kind is FieldKind.INTEGER and INTEGER.match(text)) or (kind is FieldKind.FLOAT and NUMBER.match(text)):
        return msgspec.Raw(text.encode())
    if kind in _JSON:
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return text
        return msgspec.Raw(text.encode())
    return text
