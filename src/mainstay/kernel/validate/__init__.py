"""Validation: from bytes and text to the inputs of a use case, or to all faults at once."""

from mainstay.kernel.validate.find import operators_of
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.problems import (
    BodyMissing,
    DuplicateKey,
    InvalidParameter,
    JsonEncoding,
    JsonSyntax,
    JsonTooDeep,
    UnknownParameter,
)
from mainstay.kernel.validate.stage import DEFAULTS, bind_validation, media_of

__all__ = [
    "DEFAULTS",
    "BodyMissing",
    "DuplicateKey",
    "InputLimits",
    "InvalidParameter",
    "JsonEncoding",
    "JsonSyntax",
    "JsonTooDeep",
    "UnknownParameter",
    "bind_validation",
    "media_of",
    "operators_of",
]
