"""``mainstay policy``: who may do what, on which rows, and why; the whole table; what differs between two versions."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

_MATRIX_SECONDS = 120


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    explain = action_parser(actions, "explain", "say whether a caller may, on which rows, and why")
    explain.add_argument(
        "principal", help="nobody, system, NAME/ROLE,..., a principal as JSON (or @FILE), or a token of this service"
    )
    explain.add_argument("operation", help="its name, or its route: 'GET /orders'")
    explain.add_argument("row", nargs="?", default=None, help="one row: its fields as JSON, or its id in the database")
    explain.add_argument("--check", action="store_true", default=False, help="code 1 where the caller is refused")
    matrix = action_parser(actions, "matrix", "print what callers may do: all operations, rows and fields")
    matrix.add_argument(
        "principals", nargs="*", default=[], help="callers, as for explain (one for each role and scope there is)"
    )
    diff = action_parser(actions, "diff", "say what callers may do in one version, and not in another")
    diff.add_argument("old", help="a file of `policy matrix --format json`, a project's folder, or a git revision")
    diff.add_argument("new", nargs="?", default=".", help="the same (the project as it stands)")
    diff.add_argument("--check", action="store_true", default=False, help="code 1 where anybody may do more")


def execute(arguments: Any, console: Console) -> int:
    """Do what the action says."""
    return _ACTIONS[arguments.action](arguments, console)


def _explain(arguments: Any, console: Console) -> int:
    from mainstay.app.authorising import explain
    from mainstay.app.importing import import_service
    from mainstay.cli.callers import caller_of

    settings = settings_of(arguments, strict=False)
    service = import_service(settings)
    who = caller_of(arguments.principal, service, settings)
    row = None if arguments.row is None else _row(arguments, service, settings)
    explanation = explain(_bound(service), who, arguments.operation, row)
    console.facts(explanation, lambda: "\n".join(_explained(explanation)))
    return 1 if arguments.check and explanation.verdict == "no" else 0


def _bound(service: Any) -> Any:
    """Return a service bound to memory. Raises ``StartupFailed``."""
    from mainstay.app.checking import inspect
    from mainstay.model.faults import StartupFailed

    bound = inspect(service)
    if bound.faults:
        raise StartupFailed(bound.faults)
    return bound


def _row(arguments: Any, service: Any, settings: Any) -> Mapping[str, Any]:
    """Return the fields of the row that is named: given as JSON, or read from the database."""
    from uuid import UUID

    import msgspec

    if arguments.row.startswith("{"):
        try:
            return msgspec.json.decode(arguments.row, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Usage(f"mainstay policy explain: the row is no JSON object: {error}") from None
    try:
        id_ = UUID(arguments.row)
    except ValueError:
        raise Usage("mainstay policy explain: the row is neither a JSON object nor an id") from None
    from mainstay.app.authorising import row_of
    from mainstay.app.serving import run_loop

    found: list[Mapping[str, Any]] = []

    async def read() -> int:
        found.append(await row_of(service, settings, arguments.operation, id_))
        return 0

    run_loop(read())
    return found[0]


def _explained(explanation: Any) -> Iterator[str]:
    yield f"{explanation.operation} ({explanation.route}) for {explanation.caller}"
    said = {"yes": "allowed", "no": "refused", "rows": "for some rows"}[explanation.verdict]
    yield f"{said}: {explanation.reason}" if explanation.verdict != "yes" else said
    if explanation.note is not None:
        yield f"note: {explanation.note}"
    yield from ("", "allow=", *_why(explanation.allow))
    for rows in explanation.rows:
        yield from ("", f"rows of {rows.entity} ({rows.table})", *_why(rows.why))
    for field in explanation.fields:
        for verb in ("read", "write"):
            why = getattr(field, verb)
            if why is not None:
                yield from ("", f"{field.field} {verb}=", *_why(why))


def _why(why: Any) -> Iterator[str]:
    for depth, part in why.lines():
        where = f"  where {part.where}" if part.where is not None else ""
        yield f"  {'  ' * depth}{part.verdict:<5}{part.part}{where}"


def _matrix(arguments: Any, console: Console) -> int:
    from mainstay.app.authorising import draw_matrix, subjects_of
    from mainstay.app.importing import import_service
    from mainstay.cli.callers import caller_of

    settings = settings_of(arguments, strict=False)
    service = import_service(settings)
    bound = _bound(service)
    named = {text: caller_of(text, service, settings) for text in arguments.principals}
    matrix = draw_matrix(bound, named or subjects_of(bound))
    console.facts(matrix, lambda: _tables(matrix))
    return 0


def _tables(matrix: Any) -> str:
    """Return the three tables; conditions on rows stand below them, each once."""
    notes: dict[str, int] = {}

    def cell(verdict: str) -> str:
        return verdict if verdict in ("yes", "no") else f"[{notes.setdefault(verdict, len(notes) + 1)}]"

    parts = []
    for head, cells in (("OPERATION", matrix.operations), ("ROWS OF", matrix.rows), ("FIELD", matrix.fields)):
        if cells:
            rows = [(name, *(cell(verdicts[who]) for who in matrix.subjects)) for name, verdicts in cells.items()]
            parts.append(table((head, *matrix.subjects), rows))
    if notes:
        parts.append("\n".join(f"[{number}] where {words}" for words, number in notes.items()))
    return "\n\n".join(parts)


def _diff(arguments: Any, console: Console) -> int:
    from mainstay.app.authorising import differences

    old, new = (_version(arguments, wanted) for wanted in (arguments.old, arguments.new))
    found = differences(old, new)
    console.facts(found, lambda: _differing(found))
    return 1 if arguments.check and any(one.direction != "narrower" for one in found) else 0


def _version(arguments: Any, wanted: str) -> Any:
    """Return the matrix of a version: read from a file, or drawn by the command in the folder of the version."""
    import msgspec

    from mainstay.app.authorising import Matrix
    from mainstay.testing.rollout.trees import old_tree

    project = Path(arguments.directory or ".").resolve()
    path = Path(wanted)
    try:
        if path.is_file():
            return msgspec.json.decode(path.read_bytes(), type=Matrix)
        place = project / wanted if (project / wanted).is_dir() else path
        with old_tree(project, str(place) if place.is_dir() else wanted, "policy diff") as tree:
            return msgspec.json.decode(_drawn(tree.folder, arguments.profile), type=Matrix)
    except msgspec.DecodeError as error:
        raise Usage(f"mainstay policy diff: {wanted} is no matrix: {error}") from None


def _drawn(folder: Path, profile: str | None) -> bytes:
    from mainstay.app.refusal import Refusal

    command = [sys.executable, "-m", "mainstay", "policy", "matrix", "--format", "json"]
    command += [] if profile is None else ["--profile", profile]
    done = subprocess.run(  # noqa: S603 - this interpreter, and a list of arguments
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=_MATRIX_SECONDS, check=False
    )
    if done.returncode:
        raise Refusal(f"{folder}: its matrix cannot be drawn", done.stderr.decode(errors="replace").strip())
    return done.stdout


def _differing(found: Any) -> str:
    if not found:
        return "nobody may do more or less"
    rows = [(one.direction, one.kind, one.name, one.subject, one.old or "-", one.new or "-") for one in found]
    return table(("", "KIND", "NAME", "CALLER", "OLD", "NEW"), rows)


_ACTIONS: Mapping[str, Callable[[Any, Console], int]] = MappingProxyType(
    {"explain": _explain, "matrix": _matrix, "diff": _diff}
)
