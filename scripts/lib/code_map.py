"""Keep docs/code-map.md equal to the tree: each package and module with the first line of its docstring.

python scripts/lib/code_map.py            say what is out of date; 1 when something is
python scripts/lib/code_map.py --write    bring it up to date
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path("docs/code-map.md")
SOURCE = Path("src/mainstay")
MARK = "<!-- Below this line scripts/lib/code_map.py writes. -->\n"
INTRODUCTION = f"""# Code map

Where things are. An import may only point downwards in this list of layers; siblings do not know each other:

    cli > testing > app > inbound | adapters | deliver | review > kernel > ports > model

{MARK}"""
LAYERS = ("model", "ports", "kernel", "inbound", "adapters", "deliver", "review", "app", "testing", "cli")


def main(arguments: list[str]) -> int:
    """Check the page or write it."""
    undescribed = [str(path) for path in _modules() if not _purpose(path)]
    for path in undescribed:
        print(f"{path}: a module says in its docstring what it is for")
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    new = render(old.partition(MARK)[0] + MARK if MARK in old else INTRODUCTION)
    if "--write" in arguments:
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        differences = difflib.unified_diff(old.splitlines(), new.splitlines(), str(PAGE), "the tree", n=0, lineterm="")
        print("\n".join(differences))
        print(f"{PAGE} is out of date: python scripts/lib/code_map.py --write")
        return 1
    return int(bool(undescribed))


def render(introduction: str) -> str:
    """The page: a section a package, in the order of the layers, a line a module."""
    lines = [introduction]
    packages = sorted((path.parent for path in _modules() if path.name == "__init__.py"), key=_rank)
    for package in packages:
        lines.append(f"\n## `{_dotted(package)}`\n")
        lines.append(f"{_purpose(package / '__init__.py')}\n")
        modules = [path for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
        lines += [f"- `{path.name}`: {_purpose(path)}" for path in modules]
    return "\n".join(lines).rstrip("\n") + "\n"


def _modules() -> Iterator[Path]:
    return (path for path in sorted(SOURCE.rglob("*.py")) if "_vendor" not in path.parts)


def _rank(package: Path) -> tuple[int, str]:
    parts = package.relative_to(SOURCE).parts
    return (
        LAYERS.index(parts[0]) + 1 if parts and parts[0] in LAYERS else len(LAYERS) + 1 if parts else 0,
        str(package),
    )


def _dotted(package: Path) -> str:
    return ".".join(package.relative_to(SOURCE.parent).parts)


def _purpose(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
