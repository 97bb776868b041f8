"""What another server logs is told as ours, and its loggers are given back."""

from __future__ import annotations

import logging

from mainstay.app.servers.foreign_log import ForeignLog
from mainstay.ports.observer import Notice, Observation, Observer


class Heard(Observer):
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def observe(self, observation: Observation) -> None:
        assert isinstance(observation, Notice)
        self.notices.append(observation)


def test_warnings_and_errors_become_notices_and_nothing_else_does() -> None:
    heard = Heard()
    parent = logging.getLogger("foreign")
    before = (parent.level, parent.propagate, list(parent.handlers))
    log = ForeignLog(heard, "foreign")
    child = logging.getLogger("foreign.error")
    child.info("Started server process")
    child.warning("Invalid %s request received.", "HTTP")
    try:
        raise RuntimeError("inside")
    except RuntimeError:
        child.exception("Exception in application")
    log.close()
    assert [(one.level, one.event, one.message) for one in heard.notices] == [
        ("warning", "http_server", "Invalid HTTP request received."),
        ("error", "http_server", "Exception in application"),
    ]
    assert heard.notices[0].facts == {"logger": "foreign.error"}
    assert isinstance(heard.notices[1].error, RuntimeError)
    assert (parent.level, parent.propagate, list(parent.handlers)) == before
