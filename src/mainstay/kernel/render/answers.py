"""From what a use case returned to a reply: JSON text, and the facts that a protocol makes its own headers of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from hashlib import blake2b
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from mainstay.kernel.bound import Render
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.render.views import Look, View, Views
from mainstay.kernel.streamed import Item, items_of
from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.inputs import File, Page, Stream
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.problem import Internal
from mainstay.model.schema import attribute_of
from mainstay.model.signature import Source
from mainstay.model.structs import Entity
from mainstay.model.values import Secret
from mainstay.ports.kept import KeptPage
from mainstay.ports.unit_of_work import EntityPlan

Only = tuple[str, ...] | None
_LONGEST_VIEW = 64
_UNSET = msgspec.UNSET


def bind_render(
    planned: Planned,
    plans: Mapping[type[Entity], EntityPlan],  # noqa: ARG001 - the form that all bindings have
    blueprint: Blueprint,
) -> Render:
    """Return the function that makes the reply of what a use case returned.

    It raises ``Internal``, with the cause for the log, where that is not of the declared type: a wrong answer is none.
    """
    if not blueprint.faults:
        try:
            return _Binder(planned, blueprint).render()
        except (TypeError, NameError, ValueError) as error:
            operation = planned.operation
            blueprint.fault(operation.source, operation.name, f"its answer cannot be rendered: {error}")
    return _unbound


def _unbound(_call: Call, _value: Any) -> Reply:
    raise Internal


def _refuse(value: Any) -> Any:
    what = "a Secret" if isinstance(value, Secret) else type(value).__name__
    raise TypeError(f"{what} cannot be part of an answer")


class _Binder:
    """Binds the answer of one operation."""

    def __init__(self, planned: Planned, blueprint: Blueprint) -> None:
        operation = planned.operation
        self._operation = operation
        self._status = operation.status
        self._signature = planned.signature
        self._views = Views(blueprint.shapes, blueprint.service.case)
        self._encode = msgspec.json.Encoder(enc_hook=_refuse).encode
        found = planned.signature.of(Source.FIND)
        self._find = found[0].name if found else None

    def render(self) -> Render:
        kind, target = self._signature.answer
        if self._operation.kind is OperationKind.CONSUMER:
            return lambda _call, _value: Reply(status=204)
        if kind == "none":
            return self._none()
        if kind == "file":
            return self._file()
        if kind == "stream":
            return self._stream(target)
        struct = _struct_of(target)
        if kind in ("page", "list"):
            return self._many(kind, target, struct)
        return self._other(target) if struct is None else self._one(struct, target)

    def _wrong(self, value: Any) -> Internal:
        problem = Internal()
        declared = getattr(self._signature.returns, "__name__", None) or repr(self._signature.returns)
        problem.__cause__ = TypeError(f"{self._operation.name} returned {_named(value)}, and declares {declared}")
        return problem

    def _bytes(self, value: Any) -> bytes:
        try:
            return self._encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            problem = Internal()
            problem.__cause__ = TypeError(f"{self._operation.name}: its answer has no JSON form: {error}")
            raise problem from problem.__cause__

    def _none(self) -> Render:
        status = 204 if self._status == 200 else self._status

        def render(_call: Call, value: Any) -> Reply:
            if value is not None:
                raise self._wrong(value)
            return Reply(status=status)

        return render

    def _file(self) -> Render:
        def render(_call: Call, value: Any) -> Reply:
            if not isinstance(value, File):
                raise self._wrong(value)
            return Reply(status=self._status, file=value)

        return render

    def _stream(self, target: Any) -> Render:
        struct = _struct_of(target)
        view = None if struct is None else self._views.of(struct)
        name = next((p.resumes for p in self._signature.parameters if p.resumes is not None), None)

        def render(call: Call, value: Any) -> Reply:
            if not isinstance(value, Stream | AsyncIterator):
                raise self._wrong(value)
            return Reply(status=self._status, stream=self._items(items_of(value), view, call, name))

        return render

    async def _items(
        self, items: AsyncIterator[Any], view: View | None, call: Call, name: str | None
    ) -> AsyncIterator[Item]:
        who, shown = call.principal, self._shown(view, call.principal)
        source: Any = items if hasattr(items, "aclose") else _closable(items)
        async with aclosing(source):
            async for item in source:
                if view is not None and type(item) is not view.struct:
                    raise self._wrong(item)
                if call.principal is not who:  # it was judged anew, and may be shown more or less than before
                    who, shown = call.principal, self._shown(view, call.principal)
                yield Item(self._bytes(shown(item)), None if name is None else _id_text(getattr(item, name)))

    def _shown(self, view: View | None, who: Principal) -> Callable[[Any], Any]:
        """Return what makes of an item what a caller is shown of it."""
        look = Look(who)
        if view is None:
            return lambda item: self._views.any(item, look)
        return (lambda item: item) if view.open(who) else lambda item: view.show(item, look)

    def _only(self, call: Call) -> Only:
        return None if self._find is None else call.inputs[self._find].fields

    def _many(self, kind: str, target: Any, struct: Any) -> Render:
        page = kind == "page"
        status, expected = self._status, {struct}
        container: Any = Page if page else list
        view = None if struct is None else self._views.of(struct)

        def render(call: Call, value: Any) -> Reply:
            if type(value) is KeptPage:
                body = self._kept(call, value, view)
                if body is not None:
                    return Reply(body=body, status=status, next=value.next)
                value = value.page()
            if type(value) is not container:
                raise self._wrong(value)
            items = value.items if page else value
            if view is not None and not expected.issuperset(map(type, items)):
                raise self._wrong(items)
            only = self._only(call)
            if view is None or only is not None or not view.open(call.principal):
                look = Look(call.principal)
                body = self._page(value, page, [self._item(item, view, look, only) for item in items])
                return Reply(body=body, status=status, next=value.next if page else None, view=_view(only, look, None))
            return Reply(body=self._bytes(value), status=status, next=value.next if page else None)

        return render if struct is not None else self._checked_many(target, render, page=page)

    def _kept(self, call: Call, value: KeptPage[Any], view: View | None) -> bytes | None:
        """Return a page of which nobody has looked at a row, where the caller is shown all of it."""
        if view is None or self._only(call) is not None or not view.open(call.principal):
            return None
        told = value.items.told()
        if told is None:
            return None
        following = b"" if value.next is None else b',"next":' + self._encode(value.next)
        counted = b"" if value.count is None else b',"count":%d' % value.count
        return b'{"items":%b%b%b}' % (told, following, counted)

    def _item(self, item: Any, view: View | None, look: Look, only: Only) -> Any:
        return self._views.any(item, look) if view is None else view.show(item, look, only)

    def _page(self, value: Any, page: bool, shown: list[Any]) -> bytes:
        if not page:
            return self._bytes(shown)
        answer: dict[str, Any] = {"items": shown}
        if value.next is not None:
            answer["next"] = value.next
        if value.count is not None:
            answer["count"] = value.count
        return self._bytes(answer)

    def _checked_many(self, target: Any, render: Render, *, page: bool) -> Render:
        """Check the items of a list that are no structs by their declared type."""

        def checked(call: Call, value: Any) -> Reply:
            items = getattr(value, "items", None) if page else value
            if not _fits(items, list[target]):
                raise self._wrong(value)
            return render(call, value)

        return checked

    def _one(self, struct: Any, target: Any) -> Render:
        view = self._views.of(struct)
        optional = target is not struct
        is_entity = issubclass(struct, Entity)
        created = self._status == 201 and "id" in struct.__struct_fields__
        status, relations, find = self._status, view.relations, self._find
        always_open = view.direct and not view.policies

        def render(call: Call, value: Any) -> Reply:
            if type(value) is not struct:
                if value is None and optional:
                    return Reply(body=b"null", status=status)
                raise self._wrong(value)
            only = None if find is None else call.inputs[find].fields
            look = None
            if only is not None or not (always_open or view.open(call.principal)):
                look = Look(call.principal)
            body = self._bytes(value if look is None else view.show(value, look, only))
            related = relations and any([getattr(value, name) is not _UNSET for name in relations])
            return Reply(
                body=body,
                status=status,
                version=value.version if is_entity else None,
                view=_view(only, look, body if related else None) if look is not None or related else "",
                location=str(value.id) if created else None,
            )

        return render

    def _other(self, target: Any) -> Render:
        status = self._status
        if target is not Any and not _is_union(target):
            attribute_of("answer", target)

        def render(call: Call, value: Any) -> Reply:
            if not _fits(value, target):
                raise self._wrong(value)
            look = Look(call.principal)
            body = self._bytes(self._views.any(value, look))
            return Reply(body=body, status=status, view=_view(None, look, None))

        return render


def _id_text(value: Any) -> str:
    """Return what names an item, as it is given back to go on after it. Raises ``ValueError`` for more than a line."""
    text = str(msgspec.to_builtins(value))
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("what names an item of a stream has a line break")
    return text


async def _closable(items: AsyncIterator[Any]) -> Any:
    async for item in items:
        yield item


def _is_union(target: Any) -> bool:
    return get_origin(target) in (Union, UnionType)


def _struct_of(target: Any) -> Any:
    """Return the struct of "S" and "S | None", or None for another type."""
    members = [m for m in get_args(target) if m is not NoneType] if _is_union(target) else [target]
    only = members[0] if len(members) == 1 else None
    return only if isinstance(only, type) and get_origin(only) is None and issubclass(only, msgspec.Struct) else None


def _named(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {', '.join(sorted({type(item).__name__ for item in value})) or 'nothing'}"
    return type(value).__name__


def _fits(value: Any, target: Any) -> bool:
    """Say whether a value is of a declared type that is no struct; structs in it count as they are."""
    if target is Any:
        return True
    if _is_union(target):
        return any(_fits(value, member) for member in get_args(target))
    if isinstance(target, type) and get_origin(target) is None:
        wrong_bool = isinstance(value, bool) and target is not bool
        return isinstance(value, target) and not wrong_bool
    try:
        msgspec.convert(value, target)
    except (msgspec.ValidationError, TypeError):
        return False
    return True


def _view(only: Only, look: Look | None, body: bytes | None) -> str:
    """Return what of a row was shown, as text. Rows related to it have versions of their own: the bytes tell."""
    parts = []
    if only is not None:
        parts.append(f"f={','.join(only)}")
    if look is not None and look.left_out:
        parts.append(f"m={','.join(sorted(look.left_out))}")
    if body is not None:
        parts.append(f"b={blake2b(body, digest_size=8).hexdigest()}")
    text = ";".join(parts)
    return text if len(text) <= _LONGEST_VIEW else blake2b(text.encode(), digest_size=8).hexdigest()
