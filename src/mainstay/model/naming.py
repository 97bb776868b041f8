"""Names on the wire: snake_case as declared, or camelCase where a service says ``case="camel"``."""

from __future__ import annotations

from typing import Any

from mainstay.model.problem import snake_case
from mainstay.model.service import Case


def camel_case(name: str) -> str:
    """Return a snake_case name as camelCase: ``created_at`` is ``createdAt``; underscores in front stay."""
    bare = name.lstrip("_")
    first, *rest = bare.split("_")
    return name[: len(name) - len(bare)] + first + "".join(part[:1].upper() + part[1:] for part in rest)


def wire_name(name: str, case: Case) -> str:
    """Return a name as it stands on the wire."""
    return camel_case(name) if case == "camel" else name


def wire_names(struct: Any, case: Case) -> dict[str, str]:
    """Return the wire name of each field of a struct. A name that the struct itself was given on the wire stays."""
    pairs = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {name: wire_name(name, case) if name == told else told for name, told in pairs}


def table_name(module: str, entity: Any) -> str:
    """Return the name of an entity's table: "module_entity", so that two modules may use the same name."""
    return f"{module}_{snake_case(entity.__name__)}"
