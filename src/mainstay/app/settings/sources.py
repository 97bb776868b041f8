"""Where settings stand: ``mainstay.toml``, the environment, ``.env``; each becomes a tree of values and sources."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import LOADED_FIELDS, PROFILES, Demo, Settings
from mainstay.app.settings.section import Section
from mainstay.model.values import Secret

FILE = "mainstay.toml"
PREFIX = "MAINSTAY_"
_MAX_BYTES = 1024 * 1024
_OTHERS = ("MAINSTAY_PROFILE", "MAINSTAY_PYTHON")
_TOOLS = ("MAINSTAY_TEST_", "MAINSTAY_BENCH_")  # of the tools that start a service, not of the service
# Kubernetes tells every pod of a service named "mainstay..." with variables of these forms.
_KUBERNETES = re.compile(
    r"\w+_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP)(?:_\w+)?)|\w+_PORT=(?:tcp|udp)://.*"
)
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class Sourced(msgspec.Struct, frozen=True):
    """A value as it was found. ``textual`` says that it was text, to be read as what the field needs."""

    value: Any
    source: str
    textual: bool = False

    def __repr__(self) -> str:
        return f"<Sourced {self.source}>"


Tree = dict[str, Any]  # of Tree, list[Tree], Sourced


def find_root(start: Path) -> Path:
    """Return the nearest folder, upwards from ``start``, that has a settings file; ``start`` where none has."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    return start


def read_file(path: Path, faults: list[SettingFault]) -> tuple[Tree, dict[str, Tree]]:
    """Return the file's settings, and those that it gives by profile."""
    text = _read(path, path.name, faults)
    if text is None:
        return {}, {}
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(SettingFault(path.name, str(path), f"this is no TOML: {error}", "mend the line"))
        return {}, {}
    by_profile = document.pop("profile", {})
    if not isinstance(by_profile, dict):
        faults.append(
            SettingFault(
                "profile",
                f"{path.name}:profile",
                "the file that is shared by all environments does not choose between them",
                "choose with MAINSTAY_PROFILE or --profile; [profile.production] overrides settings of one",
            )
        )
        by_profile = {}
    profiles: dict[str, Tree] = {}
    for name, table in by_profile.items():
        place = f"{path.name}:profile.{name}"
        if name not in PROFILES or not isinstance(table, dict):
            faults.append(
                SettingFault(f"profile.{name}", place, "there is no such profile", f"use {', '.join(PROFILES)}")
            )
        else:
            profiles[name] = _expanded(_tree(table, f"{place}."))
    return _expanded(_tree(document, f"{path.name}:")), profiles


def _expanded(tree: Tree) -> Tree:
    """Return a tree with the short forms of sections in full: ``cache = "redis://..."`` is the URL of the cache."""
    for name, key in _short_forms():
        if isinstance(tree.get(name), Sourced):
            tree[name] = {key: tree[name]}
    return tree


def _short_forms() -> Iterator[tuple[str, str]]:
    """Give the sections that may be said in one word, and the setting that it is of."""
    for name, annotation in fields_of(Settings):
        key = getattr(annotation, "short", None)
        if key is not None:
            yield name, key


def _tree(table: Mapping[str, Any], place: str) -> Tree:
    found: Tree = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found[key] = _tree(value, f"{place}{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            found[key] = [_tree(item, f"{place}{key}[{index}].") for index, item in enumerate(value)]
        else:
            found[key] = Sourced(value, f"{place}{key}")
    return found


def read_dotenv(path: Path, faults: list[SettingFault]) -> dict[str, str]:
    """Return the ``MAINSTAY_`` variables of a ``.env`` file: ``NAME=value`` lines, comments, quotes."""
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for number, raw in enumerate((_read(path, ".env", faults) or "").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            faults.append(SettingFault(".env", f".env line {number}", "expected NAME=value", "mend or remove the line"))
        elif match[1].startswith(PREFIX):
            found[match[1]] = _unquoted(match[2])
    return found


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return re.split(r"\s+#", text, maxsplit=1)[0]


def read_environment(environ: Mapping[str, str], place: str, faults: list[SettingFault]) -> Tree:
    """Return the settings of ``MAINSTAY_`` variables. One that names no setting is a fault, not a silent typo."""
    known = {PREFIX + name.upper(): f"{name}.{key}" for name, key in _short_forms()} | dict(variables())
    found: Tree = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in _OTHERS or name.startswith(_TOOLS):
            continue
        path = known.get(name) or _secret_path(name)
        if path is None and (_KUBERNETES.fullmatch(name) or _KUBERNETES.fullmatch(f"{name}={environ[name]}")):
            continue
        if path is None:
            guess = closest(name, known)
            remedy = f"did you mean {guess}?" if guess else "unset it; `mainstay doctor --settings` lists all names"
            faults.append(SettingFault(name, f"{place}{name}", "there is no such setting", remedy))
        else:
            put(found, path, Sourced(environ[name], f"{place}{name}", textual=True))
    return found


def _secret_path(name: str) -> str | None:
    rest = name.removeprefix(f"{PREFIX}SECRET_")
    return f"secrets.{rest.lower()}" if rest != name and rest else None


def variables() -> Iterator[tuple[str, str]]:
    """Give the name of each environment variable, and the key that it sets."""
    return _variables((), Settings)


def _variables(path: tuple[str, ...], section: type[Section]) -> Iterator[tuple[str, str]]:
    for name, annotation in fields_of(section):
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            yield from _variable((*path, name), annotation)
        elif annotation is not Demo:  # commands to print are no matter of an environment
            yield from _variables((*path, name), annotation)


def _variable(path: tuple[str, ...], annotation: Any) -> Iterator[tuple[str, str]]:
    if get_origin(annotation) is dict or section_of(annotation) is not None:
        return
    names = (path[-1], f"{path[-1]}_file") if is_secret(annotation) else (path[-1],)
    for name in names:
        key = (*path[:-1], name)
        yield PREFIX + "_".join(key).upper(), ".".join(key)


def fields_of(section: type[Section]) -> Iterator[tuple[str, Any]]:
    """Give the names and types of a section's settings, in order."""
    hints = get_type_hints(section, include_extras=True)
    for field in section.__struct_fields__:
        if section is not Settings or field not in LOADED_FIELDS:
            yield field, hints[field]


def is_secret(annotation: Any) -> bool:
    """Whether a field holds one secret."""
    return get_origin(annotation) is Secret


def section_of(annotation: Any) -> type[Section] | None:
    """Return what a list of sections is a list of, else None."""
    arguments = get_args(annotation)
    if get_origin(annotation) is list and isinstance(arguments[0], type) and issubclass(arguments[0], Section):
        return arguments[0]
    return None


def put(tree: Tree, key: str, value: Any) -> None:
    """Put a value at a dotted key."""
    *folders, last = key.split(".")
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[last] = value


def merged(below: Tree, above: Tree) -> Tree:
    """Return both trees in one; where both have a value, that of ``above`` counts.

    A secret given by value hides one that stands below by file, and the other way round.
    """
    both = dict(below)
    for key, value in above.items():
        other = both.get(key)
        both[key] = merged(other, value) if isinstance(other, dict) and isinstance(value, dict) else value
        if isinstance(value, Sourced):
            both.pop(key.removesuffix("_file") if key.endswith("_file") else f"{key}_file", None)
    return both


def closest(name: str, known: Any) -> str | None:
    """Return the known name that a wrong one was probably meant to be."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def _read(path: Path, key: str, faults: list[SettingFault]) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            faults.append(SettingFault(key, str(path), "the file has more than 1 MiB", "give the right file"))
            return None
        return raw.decode()
    except OSError as error:
        faults.append(
            SettingFault(key, str(path), f"it cannot be read: {os.strerror(error.errno or 0)}", "mend its path or mode")
        )
    except UnicodeDecodeError:
        faults.append(SettingFault(key, str(path), "it is not UTF-8 text", "save it as UTF-8"))
    return None


def read_secret(path: Path, key: str, source: str, faults: list[SettingFault]) -> str | None:
    """Return what a secret's file holds, without the line break at its end."""
    text = _read(path, key, faults)
    if text is not None and not text.strip():
        faults.append(SettingFault(key, source, "the file is empty", "write the secret into it"))
        return None
    return None if text is None else text.rstrip("\r\n")
