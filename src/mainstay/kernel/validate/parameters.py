"""Parameters of the path, of the query string and of headers: from text to the values that a use case takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mainstay.kernel.call import Call
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.problems import InvalidParameter, UnknownParameter
from mainstay.kernel.validate.text import BadText, Parse, bind_text
from mainstay.model.checking import length_fault
from mainstay.model.problem import Fault, Invalid, NotFound
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.signature import Parameter

Inputs = dict[str, Any]
Part = Callable[[Call, Inputs], None]
Take = Callable[[list[str]], Any]

_SHOWN = 64


def path_part(parameters: Sequence[Parameter]) -> Part:
    """Return what reads the names in the route's braces.

    A text that is no UUID names no row: ``NotFound``. Of another type it breaks a rule: ``Invalid``.
    """
    readers = tuple((p.name, bind_text(_of(p), p.name), _of(p).kind is FieldKind.UUID) for p in parameters)

    def part(call: Call, inputs: Inputs) -> None:
        arguments = call.arguments
        for name, read, is_id in readers:
            try:
                inputs[name] = read(arguments[name])
            except BadText as bad:
                if is_id:
                    raise NotFound from None
                raise Invalid(faults=bad.faults) from None

    return part


def _of(parameter: Parameter) -> Attribute:
    attribute: Any = parameter.attribute  # every parameter that comes as text has one
    return attribute  # type: ignore[no-any-return]  # for the reason above


class Scalar:
    """A parameter that is read from one text, or a list that is read from all texts of its name."""

    def __init__(self, parameter: Parameter, told: str, limits: InputLimits) -> None:
        attribute = _of(parameter)
        self.name = parameter.name
        self.told = told
        self.parameter = parameter
        self.many = attribute.kind is FieldKind.LIST
        self._limits = limits
        self._attribute = attribute
        self._read: Parse = bind_text(attribute.items if self.many and attribute.items else attribute, told)

    def absent(self, faults: list[Fault]) -> Any:
        """Return the default, or note that there is none."""
        if self.parameter.required:
            faults.append(Fault("missing", "is required", parameter=self.told))
            return None
        default = self.parameter.default
        return list(default) if type(default) is list else default

    def take(self, texts: list[str], faults: list[Fault]) -> Any:
        """Return the value of one text or, of a list, of several."""
        try:
            if self.many:
                return self._list(texts)
            if len(texts) > 1:
                faults.append(Fault("repeated", "may be given once", parameter=self.told))
                return None
            return self._read(texts[0])
        except BadText as bad:
            faults.extend(bad.faults)
        return None

    def _list(self, texts: list[str]) -> Any:
        values = self._attribute.base([self._read(text) for text in texts])
        fault = length_fault(self._attribute, values)
        if fault is not None:
            raise BadText([Fault(*fault, parameter=self.told)])
        return values


def grouped(pairs: Iterable[tuple[str, str]], limits: InputLimits) -> dict[str, list[str]]:
    """Return the texts of each parameter, in order. Raises ``InvalidParameter`` past the bounds."""
    found: dict[str, list[str]] = {}
    for count, (name, text) in enumerate(pairs):
        if count >= limits.parameters:
            raise InvalidParameter(f"a query string may have {limits.parameters} parameters")
        if len(text) > limits.text:
            fault = Fault("too_long", f"may have {limits.text} characters", parameter=shown(name))
            raise InvalidParameter(faults=[fault])
        found.setdefault(name, []).append(text)
    return found


def shown(name: str) -> str:
    """Return a name that the caller made up, cut where it is very long, and encodable."""
    name = name.encode("utf-8", "replace").decode()
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "…"


def unknown(name: str) -> Fault:
    """Return the fault of a parameter that is not known here: the same for what is hidden from the caller."""
    return Fault("unknown_parameter", "is not a parameter of this operation", parameter=shown(name))


def raise_faults(faults: list[Fault], limits: InputLimits) -> None:
    """Raise the problem of parameters, where there are faults."""
    if not faults:
        return
    kind = UnknownParameter if all(f.code == "unknown_parameter" for f in faults) else InvalidParameter
    raise kind(faults=faults[: limits.faults])


def read_scalars(
    scalars: Sequence[Scalar], given: Mapping[str, list[str]], inputs: Inputs, faults: list[Fault]
) -> None:
    """Read each scalar parameter of the query string."""
    for scalar in scalars:
        texts = given.get(scalar.told)
        inputs[scalar.name] = scalar.absent(faults) if texts is None else scalar.take(texts, faults)


def header_part(parameters: Sequence[Parameter], limits: InputLimits) -> Part:
    """Return what reads parameters that come in headers."""
    scalars = tuple((Scalar(p, p.header or p.name, limits), (p.header or p.name).lower()) for p in parameters)

    def part(call: Call, inputs: Inputs) -> None:
        faults: list[Fault] = []
        for scalar, key in scalars:
            text = call.headers(key)
            if text is None:
                inputs[scalar.name] = scalar.absent(faults)
            elif len(text) > limits.text:
                faults.append(Fault("too_long", f"may have {limits.text} characters", parameter=scalar.told))
            else:
                inputs[scalar.name] = scalar.take([text], faults)
        raise_faults(faults, limits)

    return part
