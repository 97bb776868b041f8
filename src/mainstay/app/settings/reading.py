"""From a tree of values with their sources to typed settings: every fault found, none of them showing a value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from msgspec import inspect

from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.section import Section
from mainstay.app.settings.sources import Sourced, Tree, closest, fields_of, is_secret, read_secret, section_of
from mainstay.model.values import Secret
from mainstay.ports.secrets import LivingSecret, Reference, reference_of

_OF_FILES = frozenset({"blobs.url"})
"""Settings whose own values may be ``file://`` URLs: there it is no reference."""


class Reader:
    """Reads sections out of a tree, and keeps what is wrong and where each value came from."""

    def __init__(self, root: Path, faults: list[SettingFault]) -> None:
        self._root = root
        self._faults = faults
        self.sources: dict[str, str] = {}
        self.references: list[LivingSecret] = []

    def section(self, cls: type[Section], tree: Tree, prefix: str = "") -> dict[str, Any]:
        """Return the values of a section that are set and right."""
        known = dict(fields_of(cls))
        names = [*known, *(f"{name}_file" for name, annotation in known.items() if is_secret(annotation))]
        values: dict[str, Any] = {}
        for name, value in tree.items():
            key = prefix + name
            if name not in names:
                self._unknown(key, value, prefix, names)
            elif name not in known:
                self._from_file(values, prefix, name.removesuffix("_file"), value, tree)
            else:
                self._field(values, key, name, known[name], value)
        return values

    def _unknown(self, key: str, value: Any, prefix: str, names: Sequence[str]) -> None:
        guess = closest(key.removeprefix(prefix), names)
        remedy = f"did you mean {prefix}{guess}?" if guess else f"known here: {', '.join(sorted(names))}"
        self._fault(key, _source(value), "there is no such setting", remedy)

    def _field(self, values: dict[str, Any], key: str, name: str, annotation: Any, value: Any) -> None:
        item = section_of(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Section):
            if isinstance(value, dict):
                self._nested(values, name, annotation, value, f"{key}.")
                return
            self._fault(key, _source(value), "expected a table", f"write [{key}]")
        elif item is not None:
            self._list(values, key, name, item, value)
        elif get_origin(annotation) is dict:
            self._table(values, key, name, get_args(annotation)[1], value)
        elif not isinstance(value, Sourced):
            self._fault(key, _source(value), f"expected {expected(annotation)}", "")
        else:
            self._leaf(values, key, name, annotation, value)

    def _nested(self, values: dict[str, Any], name: str, cls: type[Section], tree: Tree, prefix: str) -> None:
        inner = self.section(cls, tree, prefix)
        required = [field.name for field in msgspec.structs.fields(cls) if field.required]
        for field in required:
            if field not in tree:
                self._fault(prefix + field, _source(tree), "it is missing", "add it")
        if all(field in inner for field in required):
            values[name] = cls(**inner)

    def _list(self, values: dict[str, Any], key: str, name: str, item: type[Section], value: Any) -> None:
        if not isinstance(value, list):
            if isinstance(value, Sourced) and value.value == []:
                values[name] = []
                return
            self._fault(key, _source(value), "expected a list of tables", f"write [[{key}]]")
            return
        found: list[Any] = []
        for index, tree in enumerate(value):
            made: dict[str, Any] = {}
            self._nested(made, "item", item, tree, f"{key}[{index}].")
            found += made.values()
        values[name] = found
        self.sources[key] = _source(value)

    def _table(self, values: dict[str, Any], key: str, name: str, item: Any, value: Any) -> None:
        """Read a table whose names are the team's own; a secret in it may be a file."""
        if not isinstance(value, dict):
            wanted = "secrets" if is_secret(item) else "values"
            self._fault(key, _source(value), f"expected a table of names and {wanted}", f"write [{key}]")
            return
        found: dict[str, Any] = {}
        for inner, one in value.items():
            if not isinstance(one, Sourced):
                self._fault(f"{key}.{inner}", _source(one), f"expected {expected(item)}", "")
            elif is_secret(item) and inner.endswith("_file"):
                self._from_file(found, f"{key}.", inner.removesuffix("_file"), one, value)
            else:
                self._leaf(found, f"{key}.{inner}", inner, item, one)
        values[name] = found

    def _from_file(self, values: dict[str, Any], prefix: str, name: str, value: Any, tree: Tree) -> None:
        key = prefix + name
        if name in tree:
            self._fault(key, _source(value), "it is given both by value and by file", "keep one of them")
        elif not isinstance(value, Sourced) or not isinstance(value.value, str) or not value.value:
            self._fault(f"{key}_file", _source(value), "expected the name of a file", "")
        else:
            text = read_secret(self._root / value.value, f"{key}_file", value.source, self._faults)
            if text is not None:
                values[name] = self._living(Reference("file", value.value), key, text)
                self.sources[key] = value.source

    def _leaf(self, values: dict[str, Any], key: str, name: str, annotation: Any, value: Sourced) -> None:
        raw = value.value
        if value.textual and get_origin(annotation) is list:
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        elif get_origin(annotation) is list and isinstance(raw, str):
            raw = [raw]  # one is as good as a list of one
        try:
            made = msgspec.convert(raw, annotation, strict=not value.textual, dec_hook=_secret)
        except msgspec.ValidationError:
            how = " (separated by commas)" if value.textual and get_origin(annotation) is list else ""
            self._fault(key, value.source, f"expected {expected(annotation)}{how}", "")
        else:
            values[name] = self._referred(key, made)
            self.sources[key] = value.source

    def _referred(self, key: str, made: Any) -> Any:
        """Return a setting's value with a living secret in place of each reference."""
        if isinstance(made, list):
            return [self._referred(f"{key}[{index}]", item) for index, item in enumerate(made)]
        reference = reference_of(made.reveal()) if isinstance(made, Secret) else None
        if reference is None or (key in _OF_FILES and reference.scheme == "file"):
            return made
        return self._living(reference, key)

    def _living(self, reference: Reference, key: str, value: str = "") -> LivingSecret:
        living = LivingSecret(reference, key, value)
        self.references.append(living)
        return living

    def _fault(self, key: str, source: str, problem: str, remedy: str) -> None:
        self._faults.append(SettingFault(key, source, problem, remedy))


def _secret(kind: Any, value: Any) -> Any:
    if get_origin(kind) is Secret and isinstance(value, str):
        return Secret(value)
    raise msgspec.ValidationError("expected a text")


def _source(value: Any) -> str:
    """Return a source out of a value or a tree of them."""
    while not isinstance(value, Sourced):
        inner = list(value.values()) if isinstance(value, dict) else list(value)
        if not inner:
            return ""
        value = inner[0]
    return value.source


_SIMPLE: dict[type, str] = {inspect.StrType: "a text", inspect.BoolType: "true or false", inspect.NoneType: "nothing"}


def expected(annotation: Any) -> str:
    """Say in words what values a setting takes."""
    if is_secret(annotation):
        return "a text"
    if get_origin(annotation) is list and is_secret(get_args(annotation)[0]):
        return "a list of texts"
    return _words(inspect.type_info(annotation))


def _words(info: Any) -> str:
    if isinstance(info, inspect.StrType) and info.min_length:
        return "a text that is not empty"
    if isinstance(info, inspect.IntType | inspect.FloatType):
        return ("a whole number" if isinstance(info, inspect.IntType) else "a number") + _range(info)
    if isinstance(info, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in info.values)}"
    if isinstance(info, inspect.ListType):
        return f"a list, each {_words(info.item_type)}"
    if isinstance(info, inspect.UnionType):
        return " or ".join(_words(member) for member in info.types if not isinstance(member, inspect.NoneType))
    return _SIMPLE.get(type(info), "another type")


def _range(info: Any) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge} to {info.le}"
    if info.gt is not None and info.le is not None:
        return f" above {info.gt} and at most {info.le}"
    return ""
