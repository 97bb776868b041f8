"""The stage that makes a call's inputs: every parameter of the use case that is no dependency, typed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstay.kernel.bound import Media, Stage
from mainstay.kernel.call import Call
from mainstay.kernel.received import Received
from mainstay.kernel.validate.bodies import Form, create_form, dto_form, members_form, patch_form
from mainstay.kernel.validate.find import Search
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.parameters import (
    Inputs,
    Part,
    Scalar,
    grouped,
    header_part,
    path_part,
    raise_faults,
    read_scalars,
    unknown,
)
from mainstay.kernel.validate.problems import BodyMissing
from mainstay.kernel.validate.reader import Prepare, Read, as_bytes, bind_reader
from mainstay.kernel.validate.resume import resuming
from mainstay.kernel.validate.uploads import upload_part
from mainstay.kernel.validate.wire import Wires
from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.inputs import RawBody
from mainstay.model.naming import wire_name, wire_names
from mainstay.model.operation import OperationKind
from mainstay.model.policy import prepare
from mainstay.model.problem import Fault, TooLarge
from mainstay.model.resource import Resource
from mainstay.model.service import Case
from mainstay.model.signature import Parameter, Signature, Source
from mainstay.model.structs import Entity
from mainstay.ports.unit_of_work import EntityPlan

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
FORM = "multipart/form-data"
_ACCEPTED = {
    Source.BODY: (JSON,),
    Source.CREATE: (JSON,),
    Source.MEMBER: (JSON,),
    Source.PATCH: (MERGE_PATCH, JSON),
    Source.UPLOAD: (FORM, "*/*"),
}
_GIVEN = {"file": "application/octet-stream", "stream": "application/x-ndjson"}
DEFAULTS = InputLimits()


def media_of(signature: Signature) -> Media:
    """Return the media types of an operation: those of the body that it takes, and that of its answer."""
    body = signature.body
    source = body.source if body is not None else Source.MEMBER if signature.of(Source.MEMBER) else None
    accepts = () if source is None else (FORM,) if signature.form else _ACCEPTED.get(source, ())
    if body is not None and source is Source.RAW:
        accepts = (body.target.media_type,)
    return Media(accepts=accepts, gives=_GIVEN.get(signature.answer[0], JSON))


def bind_validation(
    planned: Planned,
    plans: Mapping[type[Entity], EntityPlan],
    blueprint: Blueprint,
    limits: InputLimits = DEFAULTS,
) -> Stage | None:
    """Return the stage that fills ``call.inputs`` or raises, or None where the blueprint has faults.

    It raises ``Malformed`` and its kinds for what cannot be understood, ``NotFound`` for an id in the path that is
    none, ``TooLarge``, and ``Invalid`` with all faults of a body that is understood but breaks rules. A mistake of the
    declaration is noted in the blueprint.
    """
    if blueprint.faults:
        return None
    try:
        return _Binder(planned, plans, blueprint, limits).stage()
    except (TypeError, ValueError) as error:
        blueprint.fault(planned.operation.source, planned.operation.name, f"its input cannot be validated: {error}")
        return None


class _Binder:
    """Binds the parts of one operation's input."""

    def __init__(
        self,
        planned: Planned,
        plans: Mapping[type[Entity], EntityPlan],
        blueprint: Blueprint,
        limits: InputLimits,
    ) -> None:
        self._operation = planned.operation
        self._signature = planned.signature
        self._plans = plans
        self._shapes = blueprint.shapes
        self._limits = limits
        consumer = planned.operation.kind is OperationKind.CONSUMER
        self._case: Case = "snake" if consumer else blueprint.service.case
        self._wires = Wires(blueprint.shapes, self._case)
        self._prepare: Prepare = prepare

    def stage(self) -> Stage:
        parts: list[Part] = []
        path = self._signature.of(Source.PATH)
        if path:
            parts.append(path_part(path))
        if self._operation.kind is not OperationKind.CONSUMER:
            parts.append(self._query_part())
        headers = self._signature.of(Source.HEADER)
        if headers:
            parts.append(header_part(headers, self._limits))
        body = self._body_part()
        if body is not None:
            parts.append(body)
        return _stage(tuple(parts))

    def _query_part(self) -> Part:
        scalars = [Scalar(p, wire_name(p.name, self._case), self._limits) for p in self._signature.of(Source.QUERY)]
        found = self._signature.of(Source.FIND)
        search = self._search(found[0]) if found else None
        if search is None and not scalars:
            return _refuse_query
        known = frozenset(scalar.told for scalar in scalars)
        resumed = next((s.told for s in scalars if s.parameter.resumes is not None), None)
        if resumed is not None:
            part = _query_part(scalars, known, found[0].name if found else "", search, self._limits)
            return resuming(resumed, part)
        return _query_part(scalars, known, found[0].name if found else "", search, self._limits)

    def _search(self, parameter: Parameter) -> Search:
        one = self._signature.answer[0] in ("value", "none", "file")
        return Search(
            parameter.target,
            self._shapes,
            case=self._case,
            prepare=self._prepare,
            limits=self._limits,
            one=one,
            shown_only=self._operation.verb == "list",
        )

    def _body_part(self) -> Part | None:
        body = self._signature.body
        if body is None:
            members = self._signature.of(Source.MEMBER)
            return self._members_part(members) if members else None
        if body.source is Source.UPLOAD:
            return self._upload_part()
        if body.source is Source.RAW:
            return _raw_part(body.name, body.target, self._limits.body)
        read = self._reader(self._form(body), fixed=body.source is not Source.EVENT)
        return _body_part(body, read)

    def _upload_part(self) -> Part:
        uploads, members = self._signature.of(Source.UPLOAD), self._signature.of(Source.MEMBER)
        dto = self._signature.of(Source.BODY)
        if dto:
            target: Any = dto[0].target
            names, name = wire_names(target, self._case), dto[0].name
            fields = {names[a.name]: a for a in self._shapes.of(target).attributes}
            read = self._reader(self._form(dto[0]))
            return upload_part(uploads, self._limits, fields, lambda body, who: {name: read(body, who)})
        if not members:
            return upload_part(uploads, self._limits)
        fields = {wire_name(p.name, self._case): p.attribute for p in members if p.attribute is not None}
        form = members_form(self._operation.name, members, self._wires)
        return upload_part(uploads, self._limits, fields, self._reader(form))

    def _form(self, body: Parameter) -> Form:
        target: Any = body.target
        if body.source in (Source.BODY, Source.EVENT):
            return dto_form(target, self._wires)
        plan = self._plans.get(target)
        owners = plan.owners if plan is not None else ()
        shape = self._shapes.of(target)
        resource: Resource | None = self._operation.resource
        own = resource.owners(self._operation.verb) if resource is not None else ()
        if body.source is Source.PATCH:
            return patch_form(shape, (*owners, *own), self._wires)
        unset = [name for name in owners if name not in own]
        return create_form(shape, (*owners, *own), unset, self._wires)

    def _members_part(self, members: tuple[Parameter, ...]) -> Part:
        read = self._reader(members_form(self._operation.name, members, self._wires))
        optional = all(not member.required for member in members)

        def part(call: Call, inputs: Inputs) -> None:
            body = _bytes(call)
            if not body and optional:
                body = b"{}"
            inputs.update(read(body, call.principal))

        return part

    def _reader(self, form: Form, *, fixed: bool = True) -> Read:
        return bind_reader(
            form.struct, self._shapes, prepare=self._prepare, limits=self._limits, finish=form.finish, fixed=fixed
        )


def _stage(parts: tuple[Part, ...]) -> Stage:
    def stage(call: Call) -> None:
        inputs: Inputs = {}
        for part in parts:
            part(call, inputs)
        call.inputs = inputs

    return stage


def _refuse_query(call: Call, _inputs: Inputs) -> None:
    if call.query:
        raise_faults([unknown(name) for name in dict.fromkeys(name for name, _ in call.query)], DEFAULTS)


def _query_part(
    scalars: list[Scalar], known: frozenset[str], name: str, search: Search | None, limits: InputLimits
) -> Part:
    def part(call: Call, inputs: Inputs) -> None:
        faults: list[Fault] = []
        given = grouped(call.query, limits) if call.query else {}
        read_scalars(scalars, given, inputs, faults)
        if search is not None:
            inputs[name] = search.read(given, known, call.principal, faults)
        else:
            faults.extend(unknown(told) for told in given if told not in known)
        if faults:
            raise_faults(faults, limits)

    return part


def _bytes(call: Call) -> bytes:
    body = call.body
    if body is None or isinstance(body, Received):  # files are taken by who asks for them
        return b""
    return body if isinstance(body, bytes) else as_bytes(body)


def _body_part(parameter: Parameter, read: Read) -> Part:
    name, default, required = parameter.name, parameter.default, parameter.required

    def part(call: Call, inputs: Inputs) -> None:
        body = call.body
        if type(body) is not bytes:
            body = _bytes(call)
        if not body:
            if required:
                raise BodyMissing
            inputs[name] = default
        else:
            inputs[name] = read(body, call.principal)

    return part


def _raw_part(name: str, form: type[RawBody], size: int) -> Part:
    def part(call: Call, inputs: Inputs) -> None:
        body = call.body if isinstance(call.body, bytes) else b""
        if len(body) > size:
            raise TooLarge(f"the body may have {size} bytes", limit=size)
        inputs[name] = form(body)

    return part
