"""What is written by Python's ``logging`` is told as ours, and the loggers are given back."""

from __future__ import annotations

import asyncio
import logging
import threading

from mainstay.adapters.observe.python_log import PythonLog
from mainstay.ports.observer import Notice, Observation, Observer

FOREIGN = {"foreign": logging.WARNING}


class Heard(Observer):
    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.threads: list[int] = []

    def observe(self, observation: Observation) -> None:
        assert isinstance(observation, Notice)
        self.notices.append(observation)
        self.threads.append(threading.get_ident())


async def test_records_from_a_level_on_become_notices_and_nothing_below_does() -> None:
    heard = Heard()
    parent = logging.getLogger("foreign")
    before = (parent.level, parent.propagate, list(parent.handlers))
    log = PythonLog(heard, "http_server", FOREIGN)
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


async def test_each_logger_has_its_level_and_what_is_extra_becomes_facts() -> None:
    heard = Heard()
    log = PythonLog(heard, "log", {**FOREIGN, "foreign.own": logging.DEBUG})
    logging.getLogger("foreign.own").debug("packed", extra={"parcel": 7})
    logging.getLogger("foreign.own.part").info("sent")
    logging.getLogger("foreign.other").info("chatter")
    logging.getLogger("foreign").critical("out of paper")
    log.close()
    assert [(one.level, one.message, one.facts) for one in heard.notices] == [
        ("debug", "packed", {"logger": "foreign.own", "parcel": 7}),
        ("info", "sent", {"logger": "foreign.own.part"}),
        ("error", "out of paper", {"logger": "foreign"}),
    ]


async def test_words_that_do_not_fit_their_text_lose_no_line() -> None:
    heard = Heard()
    log = PythonLog(heard, "log", FOREIGN)
    logging.getLogger("foreign").warning("%d parcels", "many")
    log.close()
    assert [one.message for one in heard.notices] == ["%d parcels"]


async def test_what_another_thread_writes_is_told_on_the_loop() -> None:
    heard = Heard()
    log = PythonLog(heard, "log", FOREIGN)
    await asyncio.to_thread(logging.getLogger("foreign").warning, "from afar")
    await asyncio.sleep(0)
    log.close()
    assert [one.message for one in heard.notices] == ["from afar"]
    assert heard.threads == [threading.get_ident()]


def test_a_thread_that_outlives_the_loop_is_heard_too() -> None:
    heard = Heard()

    async def listening() -> PythonLog:
        return PythonLog(heard, "log", FOREIGN)

    log = asyncio.run(listening())
    thread = threading.Thread(target=logging.getLogger("foreign").warning, args=("late",))
    thread.start()
    thread.join()
    log.close()
    assert [one.message for one in heard.notices] == ["late"]
