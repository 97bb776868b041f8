"""What the parser refuses, as problems."""

from __future__ import annotations

import re

import httptools

from mainstay.inbound.http.problems import MethodUnknown, RequestMalformed, VersionNotSupported
from mainstay.model.problem import Internal, Problem

_METHOD = re.compile(rb"\r?\n?[A-Za-z]{1,20} [/*h]")


def fault_of(error: httptools.HttpParserError, data: bytes) -> Problem:
    """Return the problem of a parser's error. ``data`` is the input that begins with it, empty where that is
    not known.

    What a callback raised is that problem itself; an unexpected exception becomes ``Internal``, with it as the cause.
    """
    raised = error.__context__
    if isinstance(raised, Problem):
        return raised
    if isinstance(error, httptools.HttpParserCallbackError):
        internal = Internal()
        internal.__cause__ = raised or error
        return internal
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return MethodUnknown() if _METHOD.match(data) else RequestMalformed("the request line is not that of HTTP")
    reason = str(error)  # one of llhttp's fixed texts: nothing of the input is in it
    if reason.startswith(("Invalid HTTP version", "Pause on PRI")):
        return VersionNotSupported()
    return RequestMalformed(reason or None)
