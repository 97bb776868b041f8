"""Mainstay: a backend engineer you can install. What a team writes its service with is imported from here.

The names are fetched at their first use: ``mainstay --help`` and every other command begin by importing this package,
and need none of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstay.face import *  # noqa: F403 - one list of names, kept there
    from mainstay.face import __all__ as __all__
else:
    from importlib import import_module

    def __getattr__(name: str) -> Any:
        """Fetch a public name (PEP 562)."""
        face = import_module("mainstay.face")

        if name == "__all__" or name in face.__all__:
            value = globals()[name] = getattr(face, name)
            return value
        raise AttributeError(f"module 'mainstay' has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Name what there is."""
        face = import_module("mainstay.face")

        return sorted({*globals(), *face.__all__})
