"""Messages in the version that their consumer takes: old ones are led there, what cannot be is refused by name."""

from __future__ import annotations

import msgspec

from mainstay.kernel.bound import Stage
from mainstay.kernel.call import Call
from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.event_checks import event_taken
from mainstay.model.event_versions import Members, Step, taken, upcasters_of, version_of
from mainstay.model.problem import Conflict

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder(dict[str, object]).decode


class EventVersionUnknown(
    Conflict,
    hint="Deploy what takes this version: the class at it, an upcaster from it, or reads=. Then deliver it again.",
):
    """A message has a version of its event that this consumer does not take."""


def bind_upcasting(planned: Planned, blueprint: Blueprint) -> Stage | None:
    """Return the stage that gives a consumer its message in the version of its class; None where it looks at none.

    It raises ``EventVersionUnknown`` for a version that nothing leads from: one of before whose step was taken away,
    or one of an emitter that was rolled out before its consumer. The message is tried again meanwhile.
    """
    event = event_taken(planned)
    if event is None:
        return None
    own = version_of(event)
    known = taken(event, planned.operation.reads, upcasters_of(blueprint.service.modules))
    told = ", ".join(str(version) for version in sorted(known))

    def stage(call: Call) -> None:
        given = own if call.message is None else call.message.dataversion
        if given == own:
            return
        steps = known.get(given)
        if steps is None:
            raise EventVersionUnknown(f"the message has version {given}, and {told} can be taken", version=given)
        if steps and isinstance(call.body, bytes):
            call.body = _led(call.body, steps)

    return stage


def _led(body: bytes, steps: tuple[Step, ...]) -> bytes:
    try:
        members: Members = _decode(body)
    except msgspec.DecodeError:
        return body  # validation says what is wrong with it
    for step in steps:
        members = step(members)
        if type(members) is not dict:
            raise TypeError(f"upcaster {getattr(step, '__name__', '')} returned no dict")
    return _encode(members)
