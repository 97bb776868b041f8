"""What a team says of webhooks."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay import Event, Webhooks, anyone


class Shouted(Event):
    text: str


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"path": "hooks"}, "begins with a slash"),
        ({"path": "/hooks/"}, "ends with none"),
        ({"events": []}, "name the events"),
        ({"endpoints": 0}, "endpoints=0"),
        ({"timeout_seconds": 0.0}, "timeout_seconds"),
        ({"disable_seconds": float("nan")}, "disable_seconds"),
        ({"keep_seconds": -1.0}, "keep_seconds"),
        ({"overlap_seconds": -1}, "overlap_seconds"),
        ({"overlap_seconds": 604_801}, "overlap_seconds"),
        ({"allow": anyone}, "is known"),
        ({"to": "*"}, "say with allow="),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("*", r"\*")):
        Webhooks(**{"events": [Shouted], **given})


def test_a_declaration_brings_a_module_of_its_own_each_time() -> None:
    declared = Webhooks(events=[Shouted, "crowd.Left"], path="/told")
    (first,), (second,) = declared.modules(), declared.modules()
    assert first is not second
    assert {one.path.split("/")[1] for one in first.operations if one.path} == {"told"}
    names = [one.name for one in first.operations if one.event is not None]
    assert names == ["tell_webhooks_of_shouted", "tell_webhooks_of_crowd_left"]
    assert declared.tells() == [Shouted, "crowd.Left"]
