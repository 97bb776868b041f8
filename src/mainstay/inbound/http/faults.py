"""What the parser refuses, as problems."""

from __future__ import annotations

import httptools

from mainstay.inbound.http.problems import MethodUnknown, RequestMalformed
from mainstay.model.problem import Internal, Problem


def fault_of(error: httptools.HttpParserError) -> Problem:
    """Return the problem of a parser's error.

    What a callback raised is that problem itself; an unexpected exception becomes ``Internal``, with it as the cause.
    """
    raised = error.__context__
    if isinstance(raised, Problem):
        return raised
    if isinstance(error, httptools.HttpParserCallbackError):
        return unexpected(raised or error)
    reason = str(error)  # one of llhttp's fixed texts: nothing of the input is in it
    if reason.startswith("Invalid method"):
        return MethodUnknown()
    return RequestMalformed(reason or None)


def unexpected(error: BaseException) -> Problem:
    """Return the problem that stands for an error of ours."""
    problem = Internal()
    problem.__cause__ = error
    return problem
