"""Routes: which target a method and a path name. Compiled at start-up; a path without braces is one look-up.

A segment of a path is compared decoded, so that ``%2F`` stays inside its segment. Where a literal and a name in braces
both fit, the literal wins. A trailing slash makes another path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from mainstay.inbound.http.request import decode_segment

T = TypeVar("T")

_NO_ARGUMENTS: dict[str, str] = {}


class Match(NamedTuple, Generic[T]):
    """What a request named: the target, the route's braces with their text, and the path where it has no braces."""

    target: T
    arguments: dict[str, str]
    path: str


class Declared(NamedTuple, Generic[T]):
    """One route as declared."""

    method: str
    path: str
    target: T


class _Node(Generic[T]):
    __slots__ = ("any", "ends", "literal")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[T]] = {}
        self.any: _Node[T] | None = None
        self.ends: dict[bytes, tuple[T, tuple[str, ...]]] = {}


class Routes(Generic[T]):
    """A table of routes. GET also answers HEAD. ``longest`` is how many bytes of a target are looked at by a glance."""

    def __init__(self, declared: Iterable[Declared[T]], longest: int = 1024) -> None:
        self._longest = longest
        self._declared = tuple(declared)
        self._root: _Node[T] = _Node()
        self._static: dict[bytes, dict[bytes, Match[T]]] = {}
        self._tails: dict[bytes, dict[bytes, tuple[T, str]]] = {}
        for route in self._declared:
            self._add(route)

    def _add(self, route: Declared[T]) -> None:
        node, names = self._root, []
        for segment in route.path.split("/")[1:]:
            if _is_name(segment):
                names.append(segment[1:-1])
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.literal.setdefault(segment, _Node())
        methods = (route.method, "HEAD") if route.method == "GET" else (route.method,)
        for method in methods:
            node.ends.setdefault(method.encode(), (route.target, tuple(names)))
            if not names and route.path.isascii():
                at = self._static.setdefault(route.path.encode(), {})
                at.setdefault(method.encode(), Match(route.target, _NO_ARGUMENTS, route.path))
            before, _, last = route.path.rpartition("/")
            if len(names) == 1 and _is_name(last) and before.isascii():
                self._tails.setdefault(before.encode(), {}).setdefault(method.encode(), (route.target, names[0]))

    @property
    def static(self) -> Mapping[bytes, Mapping[bytes, Match[T]]]:
        """The routes without braces: path to method to target."""
        return self._static

    def find(self, method: bytes, path: bytes) -> Match[T] | None:
        """Return what is asked for, or None. Raises ``PathMalformed`` for a path that cannot be decoded."""
        at = self._static.get(path)
        if at is not None and method in at:
            return at[method]
        segments = _segments(path)
        found = _straight(self._root, segments, method)
        if found is not None:
            return found
        for node, values in _walk(self._root, segments, 0, []):
            end = node.ends.get(method)
            if end is not None:
                return Match(end[0], dict(zip(end[1], values, strict=True)), "")
        return None

    def glance(self, method: bytes, target: bytes) -> Match[T] | None:
        """Return what a target names whose last segment alone stands in braces, where that is plain to see.

        None says nothing: the target may have a query or an escape, or name another route. No route without braces may
        be at the target under this method: those go first.
        """
        before, _, last = target.rpartition(b"/")
        ends = self._tails.get(before)
        if ends is None or len(target) > self._longest or not last.replace(b"-", b"").isalnum():
            return None
        end = ends.get(method)
        return None if end is None else Match(end[0], {end[1]: last.decode("ascii")}, "")

    def allowed(self, path: bytes) -> tuple[str, ...]:
        """Return the methods that the path takes, OPTIONS among them, in order; () where nothing is at the path."""
        methods = {method.decode() for node, _ in _walk(self._root, _segments(path), 0, []) for method in node.ends}
        return tuple(sorted(methods | {"OPTIONS"})) if methods else ()

    def methods(self) -> tuple[str, ...]:
        """Return the methods that some path takes."""
        methods = {route.method for route in self._declared}
        return tuple(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    def conflicts(self) -> list[tuple[Declared[T], Declared[T]]]:
        """Return the pairs of routes of which the second can never be reached."""
        seen: dict[tuple[str, str], Declared[T]] = {}
        pairs = []
        for route in self._declared:
            shape = "/".join("{}" if _is_name(part) else part for part in route.path.split("/"))
            first = seen.setdefault((route.method, shape), route)
            if first is not route:
                pairs.append((first, route))
        return pairs


def _is_name(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _segments(path: bytes) -> list[str]:
    if b"%" not in path and path.isascii():
        return path.decode("ascii").split("/")[1:]
    return [decode_segment(segment) for segment in path.split(b"/")[1:]]


def _straight(node: _Node[T], segments: list[str], method: bytes) -> Match[T] | None:
    """Follow the segments, a literal wherever there is one: the usual case, without looking back."""
    values = []
    for segment in segments:
        following = node.literal.get(segment)
        if following is None:
            following = node.any
            if following is None or not segment:
                return None
            values.append(segment)
        node = following
    end = node.ends.get(method)
    return None if end is None else Match(end[0], dict(zip(end[1], values, strict=True)), "")


def _walk(node: _Node[Any], segments: list[str], at: int, values: list[str]) -> Iterable[tuple[_Node[Any], list[str]]]:
    """Yield each node that the segments lead to, literals first. The depth is that of the deepest route."""
    if at == len(segments):
        if node.ends:
            yield node, values
        return
    segment = segments[at]
    literal = node.literal.get(segment)
    if literal is not None:
        yield from _walk(literal, segments, at + 1, values)
    if node.any is not None and segment:
        yield from _walk(node.any, segments, at + 1, [*values, segment])
