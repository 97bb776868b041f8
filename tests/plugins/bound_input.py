"""Operations bound for their input and output only: no store, no protocol."""

from __future__ import annotations

from typing import Any

from mainstay.kernel.bound import Render, Stage
from mainstay.kernel.call import Call
from mainstay.kernel.plans import plan_entities
from mainstay.kernel.render import bind_render
from mainstay.kernel.resource import plan_resource
from mainstay.kernel.validate import InputLimits, bind_validation
from mainstay.model.blueprint import Blueprint, Planned, draw
from mainstay.model.checks import check_blueprint
from mainstay.model.module import Module
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Problem
from mainstay.model.service import Service


class Desk:
    """The validation and the rendering of a module's operations, by their names."""

    def __init__(self, module: Module, case: Any = "snake", limits: InputLimits | None = None) -> None:
        service = Service("desk", modules=[module], case=case)
        self.blueprint: Blueprint = draw(service)
        check_blueprint(self.blueprint)
        plans = plan_entities(self.blueprint)
        planned: list[Planned] = list(self.blueprint.planned)
        for owner, resource in self.blueprint.resources:
            planned.extend(plan_resource(owner, resource, self.blueprint.shapes.of(resource.entity)))
        self.planned = {one.operation.name: one for one in planned}
        self.stages: dict[str, Stage | None] = {
            name: bind_validation(one, plans, self.blueprint, limits or InputLimits())
            for name, one in self.planned.items()
        }
        self.renders: dict[str, Render] = {
            name: bind_render(one, plans, self.blueprint) for name, one in self.planned.items()
        }

    def inputs(self, name: str, body: Any = None, **call: Any) -> dict[str, Any]:
        """Run the stage of an operation and return what the use case would be given."""
        stage = self.stages[name]
        assert stage is not None, [str(fault) for fault in self.blueprint.faults]
        made = make_call(body=body, **call)
        stage(made)
        return made.inputs

    def refusal(self, name: str, body: Any = None, **call: Any) -> Problem:
        """Run the stage of an operation, which must refuse, and return the problem."""
        try:
            inputs = self.inputs(name, body, **call)
        except Problem as problem:
            return problem
        raise AssertionError(f"accepted: {inputs}")

    def faults(self, name: str, body: Any = None, **call: Any) -> list[tuple[str, str | None]]:
        """Return code and place of each fault of a refusal."""
        return places(self.refusal(name, body, **call).faults)

    def render(self, name: str, value: Any, **call: Any) -> Any:
        """Return the reply of what a use case returned, for a call whose input is taken as it is."""
        inputs = call.pop("inputs", {})
        made = make_call(**call)
        made.inputs = inputs
        return self.renders[name](made, value)


def places(faults: Any) -> list[tuple[str, str | None]]:
    """Return code and pointer, or parameter, of each fault."""
    return [(fault.code, fault.pointer if fault.pointer is not None else fault.parameter) for fault in faults]


def make_call(**parts: Any) -> Call:
    """Return a call of no operation: stages are asked directly."""
    operation: Any = None
    parts.setdefault("principal", Principal.anonymous)
    headers = {name.lower(): value for name, value in parts.pop("headers", {}).items()}
    return Call(operation=operation, headers=headers.get, **parts)


__all__ = ["Desk", "Fault", "make_call", "places"]
