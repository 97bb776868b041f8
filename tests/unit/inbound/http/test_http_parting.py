"""Whoever listens is told once that the process is leaving."""

from __future__ import annotations

from mainstay.inbound.http.parting import Parting


def test_each_listener_is_told_once_and_a_late_one_at_once() -> None:
    parting, told = Parting(), []
    parting.listen(lambda: told.append("first"))
    forget = parting.listen(lambda: told.append("forgotten"))
    forget()
    forget()
    parting.begin()
    parting.begin()
    assert (told, parting.begun) == (["first"], True)
    parting.listen(lambda: told.append("late"))()
    assert told == ["first", "late"]
