"""The signature of a use case, taken apart once: what is input, and what is a dependency to be found by its type."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from mainstay.model.fields import Header
from mainstay.model.inputs import File, Find, Page, Patch, RawBody, ResumePoint, Stream, Upload
from mainstay.model.operation import Operation, OperationKind
from mainstay.model.schema import Attribute, FieldKind, attribute_of
from mainstay.model.structs import Dto, Event

SCALARS = frozenset(
    {
        FieldKind.STRING,
        FieldKind.INTEGER,
        FieldKind.FLOAT,
        FieldKind.BOOLEAN,
        FieldKind.DECIMAL,
        FieldKind.DATETIME,
        FieldKind.DATE,
        FieldKind.TIME,
        FieldKind.UUID,
        FieldKind.ENUM,
        FieldKind.LIST,
    }
)


class Source(Enum):
    """Where a parameter's value comes from."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    MEMBER = "member"  # a member of the body, beside others
    BODY = "body"  # the one Dto
    PATCH = "patch"
    CREATE = "create"  # the fields of an entity that a body may set, as keywords
    EVENT = "event"
    FIND = "find"
    UPLOAD = "upload"
    RAW = "raw"
    DEPENDENCY = "dependency"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter. ``target`` is the class that matters: of the body, of a patch's or a find's entity, of a port."""

    name: str
    source: Source
    type: Any
    target: Any = None
    attribute: Attribute | None = None
    header: str | None = None
    default: Any = inspect.Parameter.empty
    resumes: str | None = None  # the field of the items after which a stream goes on

    @property
    def required(self) -> bool:
        """Whether the use case has no default for it."""
        return self.default is inspect.Parameter.empty


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """All parameters in order, and what comes back."""

    parameters: tuple[Parameter, ...]
    returns: Any

    def of(self, *sources: Source) -> tuple[Parameter, ...]:
        """Return the parameters that come from one of the sources."""
        return tuple(p for p in self.parameters if p.source in sources)

    @property
    def body(self) -> Parameter | None:
        """The parameter that takes the body as a whole, or the (first) file of it, if there is one."""
        taken = self.of(Source.UPLOAD) or self.of(Source.BODY, Source.PATCH, Source.CREATE, Source.RAW, Source.EVENT)
        return taken[0] if taken else None

    @property
    def form(self) -> bool:
        """Whether the body can only be a form: of several files, or of fields beside a file."""
        uploads = self.of(Source.UPLOAD)
        several = len(uploads) > 1 or any(get_origin(p.type) is list for p in uploads)
        return several or bool(uploads and self.of(Source.BODY, Source.MEMBER))

    @property
    def answer(self) -> tuple[str, Any]:
        """What comes back: ("none", None), ("page", E), ("list", E), ("stream", E), ("file", File), ("value", T)."""
        origin = get_origin(self.returns) or self.returns
        arguments = get_args(self.returns)
        if origin in (None, type(None)):
            return "none", None
        if origin is Page:
            return "page", arguments[0] if arguments else Any
        if origin in _STREAMS:
            return "stream", arguments[0] if arguments else Any
        if origin is list and arguments:
            return "list", arguments[0]
        return ("file", File) if origin is File else ("value", self.returns)


def path_names(path: str) -> tuple[str, ...]:
    """Return the names in a route's braces, in order."""
    return tuple(part[1:-1] for part in path.split("/") if part.startswith("{") and part.endswith("}"))


def signature_of(operation: Operation) -> Signature:
    """Resolve and classify. Raises ``NameError`` or ``TypeError`` that names the parameter which does not resolve."""
    function = operation.function
    declared = inspect.signature(function).parameters
    hints = _hints(function, declared)
    names = path_names(operation.path)
    parameters = []
    for name, parameter in declared.items():
        if name not in hints:
            raise TypeError(f"parameter {name}: it has no annotation")
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"parameter {name}: a use case names its parameters, * and ** are not for it")
        parameters.append(_classify(name, hints[name], parameter.default, name in names, operation.kind))
    missing = set(names) - set(declared)
    if missing:
        raise TypeError(f"route {operation.path}: {', '.join(sorted(missing))} in braces is no parameter")
    return Signature(parameters=tuple(parameters), returns=hints.get("return"))


def _hints(function: Any, declared: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError) as error:
        for name in (*declared, "return"):
            annotation = getattr(function, "__annotations__", {}).get(name)
            if annotation is not None and not _resolves(annotation, function):
                what = "the return type" if name == "return" else f"parameter {name}"
                raise NameError(
                    f"{what}: {annotation!r} does not resolve at run time ({error}); import it outside TYPE_CHECKING"
                ) from error
        raise


def _resolves(annotation: Any, function: Any) -> bool:
    holder = type("holder", (), {"__annotations__": {"x": annotation}, "__module__": function.__module__})
    try:
        get_type_hints(holder, getattr(function, "__globals__", {}), include_extras=True)
    except (NameError, AttributeError, TypeError):
        return False
    return True


def _classify(name: str, annotation: Any, default: Any, in_path: bool, kind: OperationKind) -> Parameter:
    """Say where a parameter's value comes from: what is no input is a dependency."""
    source, target, header = _whole(annotation)
    if source is None:
        source, target = _scalar(name, annotation, in_path, kind)
    with_attribute = source in (Source.HEADER, Source.PATH, Source.QUERY, Source.MEMBER)
    return Parameter(
        name=name,
        source=source,
        type=annotation,
        target=target,
        attribute=attribute_of(name, annotation) if with_attribute else None,
        header=header,
        default=default,
        resumes=_resumes(annotation) if source is Source.QUERY else None,
    )


def _resumes(annotation: Any) -> str | None:
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((mark.field for mark in marks if isinstance(mark, ResumePoint)), None)


def _whole(annotation: Any) -> tuple[Source | None, Any, str | None]:
    """Recognise what is marked as a header, or takes more than one value: source, target, name of the header."""
    origin = get_origin(annotation) or annotation
    target = (get_args(annotation) or (None,))[0]
    if origin is Annotated:
        for mark in get_args(annotation)[1:]:
            if isinstance(mark, Header):
                return Source.HEADER, None, mark.name
    if _is_upload(annotation):
        return Source.UPLOAD, annotation, None
    if origin in (Patch, Find):
        return (Source.PATCH if origin is Patch else Source.FIND), target, None
    for base, source in _BODIES:
        if isinstance(origin, type) and issubclass(origin, base):
            return source, annotation, None
    return None, None, None


def _is_upload(annotation: Any) -> bool:
    """Whether it is ``Upload``, ``Upload | None`` or ``list[Upload]``."""
    arguments = get_args(annotation)
    if get_origin(annotation) is list:
        return arguments == (Upload,)
    if get_origin(annotation) in (Union, UnionType):
        return set(arguments) == {Upload, NoneType}
    return annotation is Upload


def _scalar(name: str, annotation: Any, in_path: bool, kind: OperationKind) -> tuple[Source, Any]:
    try:
        attribute = attribute_of(name, annotation)
    except TypeError:
        return Source.DEPENDENCY, annotation
    if in_path:
        return Source.PATH, None
    if attribute.kind in SCALARS and kind is not OperationKind.CONSUMER:
        return (Source.QUERY if kind is OperationKind.QUERY else Source.MEMBER), None
    return Source.DEPENDENCY, annotation


_STREAMS = (Stream, AsyncIterator, AsyncIterable, AsyncGenerator)
_BODIES: tuple[tuple[type, Source], ...] = (
    (Dto, Source.BODY),
    (Event, Source.EVENT),
    (RawBody, Source.RAW),
)
