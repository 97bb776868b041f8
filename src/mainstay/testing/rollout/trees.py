"""The files of a version: those of the project, of another folder, or of a git revision taken out of the repository."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile

import msgspec

from mainstay.app.refusal import Refusal
from mainstay.app.settings.sources import FILE

_GIT_SECONDS = 120


class Tree(msgspec.Struct, frozen=True):
    """The folder of a version, and what it is called for people."""

    folder: Path
    title: str


@contextmanager
def old_tree(project: Path, wanted: str, said: str = "--old") -> Iterator[Tree]:
    """Have the files of the old version: a folder as it stands, or else a git revision, which is gone afterwards.

    ``said`` is the argument that names it.

    Raises ``Refusal`` where ``wanted`` is neither.
    """
    folder = Path(wanted)
    if (folder / FILE).is_file():
        yield Tree(folder.resolve(), str(folder))
        return
    if folder.is_dir():
        raise Refusal(f"{said} {wanted}: there is no {FILE} in this folder", "name the folder of a project")
    commit = _git(
        project, "rev-parse", "--verify", "--quiet", "--short", f"{wanted}^{{commit}}", said=f"{said} {wanted}"
    )
    inside = _git(project, "rev-parse", "--show-prefix")
    with tempfile.TemporaryDirectory(prefix="mainstay-old-") as name:
        place = Path(name) / "tree"
        # No hooks of the team's: nothing is to be done for files that are only read.
        _git(project, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", str(place), commit)
        try:
            root = place / inside
            if not (root / FILE).is_file():
                raise Refusal(f"{said} {wanted}: {inside or './'}{FILE} is not in that revision")
            if (project / ".env").is_file() and not (root / ".env").exists():
                copyfile(project / ".env", root / ".env")
            yield Tree(root, f"{wanted} ({commit})")
        finally:
            _git(project, "worktree", "remove", "--force", str(place))


def _git(project: Path, *arguments: str, said: str = "") -> str:
    """Return what git says. Raises ``Refusal``."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, and no shell
            ["git", "-C", str(project), *arguments],  # noqa: S607 - the user's own git
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise Refusal("git is not installed", "name the folder of the old version by --old FOLDER") from None
    if done.returncode:
        if said:
            raise Refusal(
                f"{said}: neither a folder nor a revision of the repository of {project}",
                *([done.stderr.strip()] if done.stderr.strip() else []),
            )
        raise Refusal(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()
