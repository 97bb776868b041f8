"""What clients send: forms, and what they prove themselves by."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from mainstay.identity.oauth.problems import InvalidClient, InvalidRequest

MAX_FIELDS = 50
MAX_FORM = 16 * 1024  # bytes

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def fields_of(raw: bytes) -> dict[str, str]:
    """Return the parameters of a form or a query string; those without a value are left out (RFC 6749, section 3.1).

    Raises ``InvalidRequest`` for one that is there twice, for escapes that are none, and for what is not UTF-8.
    """
    if len(raw) > MAX_FORM:
        raise InvalidRequest("the parameters are too long")
    try:
        text = raw.decode("ascii")
        if _BAD_ESCAPE.search(text):
            raise InvalidRequest("an escape is not two hexadecimal digits")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS) if text else []
    except (UnicodeDecodeError, ValueError):
        raise InvalidRequest("the parameters are not a form in UTF-8, or too many") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidRequest("a parameter is there twice")
    if any("\0" in value for value in found.values()):
        raise InvalidRequest("a parameter has a character that it cannot have")
    return {name: value for name, value in found.items() if value}


def client_of(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the id and the secret that a client gives, by HTTP Basic or in the form (RFC 6749, section 2.3.1).

    The secret is None where none is given. Raises ``InvalidClient`` for a field that is not of that form, and
    ``InvalidRequest`` where a client proves itself in two ways.
    """
    if authorization is None:
        return form.get("client_id", ""), form.get("client_secret")
    id_, secret = _basic(authorization)
    if "client_secret" in form or form.get("client_id", id_) != id_:
        raise InvalidRequest("a client proves itself in one way: by Authorization, or in the form")
    return id_, secret


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("a client proves itself by HTTP Basic, or in the form")
    try:
        id_, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
        if not colon:
            raise ValueError("no colon")
        return unquote_plus(id_, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        raise InvalidClient("the Authorization field is not that of HTTP Basic") from None
