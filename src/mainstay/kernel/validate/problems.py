"""What is said of input that cannot be understood. What is understood but breaks rules is ``Invalid``."""

from __future__ import annotations

from mainstay.model.problem import Malformed


class BodyMissing(Malformed, hint="Send a JSON object, with Content-Type: application/json."):
    """The body is empty."""


class JsonSyntax(Malformed, hint="Send one JSON value (RFC 8259) and nothing behind it."):
    """The body is not JSON."""


class JsonEncoding(Malformed, hint="Send UTF-8 without a byte order mark; escape surrogates in pairs only."):
    """The body is not UTF-8 text."""


class JsonTooDeep(Malformed):
    """The body is nested too deep."""


class DuplicateKey(Malformed, hint="Give each member of an object once."):
    """An object of the body has a member twice."""


class InvalidParameter(Malformed):
    """A parameter breaks rules; each fault is listed."""


class UnknownParameter(Malformed, hint="See the contract for the parameters of this operation."):
    """A parameter is not known here."""


class PartMissing(Malformed):
    """The form has no file part where one is needed."""
