"""Install the Debian packages of programs that are missing, without the servers that such packages start."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services_run import ServiceError, alone, last_lines, run

POLICY = Path("/usr/sbin/policy-rc.d")  # what Debian's packages ask before they start a server
MARK = "written by scripts/services while it installs packages"
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")
LOCK_SECONDS = 300
UPDATE_SECONDS = 300
INSTALL_SECONDS = 900


def install(packages: Sequence[str], log: Path) -> None:
    """Bring the packages with apt-get; no server is started by that."""
    command = [*INSTALL, *packages]
    by_hand = f"  as root: apt-get update && {shlex.join(command)}"
    wanted = f"the packages {' '.join(packages)} of Debian are needed"
    if shutil.which("apt-get") is None:
        raise ServiceError(f"{wanted}, and there is no apt-get: install the same programs in this system's way")
    if os.geteuid() != 0:
        raise ServiceError(f"{wanted}, and only root may install them\n{by_hand}")
    print(f"installing {' '.join(packages)}", file=sys.stderr)
    with _no_servers():
        fault = _apt(["apt-get", "update"], log, UPDATE_SECONDS) or _apt(command, log, INSTALL_SECONDS)
    if fault:
        raise ServiceError(f"{wanted}, and cannot be installed: {fault}\n{last_lines(log)}\n{by_hand}")


def _apt(command: list[str], log: Path, seconds: float) -> str:
    """Run it without questions and without restarts of servers that use a library that was renewed."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
    patience = ["-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}"]
    fault = run([*command, *patience], log, seconds, environ)
    return f"{shlex.join(command)}: {fault}" if fault else ""


@contextmanager
def _no_servers() -> Iterator[None]:
    """Forbid packages to start servers, until what stood there before is put back."""
    kept = _kept()
    with alone(POLICY.parent, UPDATE_SECONDS + INSTALL_SECONDS):
        _take_back()
        if os.path.lexists(POLICY):
            POLICY.rename(kept)
        POLICY.write_text(
            f"#!/bin/sh\n# {MARK}; should that be killed, what stood here before decides again.\n"
            f"if [ -d /proc/{os.getpid()} ]; then exit 101; fi\n"
            f'if [ -x {kept} ]; then exec {kept} "$@"; fi\n'
        )
        POLICY.chmod(0o755)
        try:
            yield
        finally:
            _take_back()


def _take_back() -> None:
    """Undo what this call, or one that was killed, has put there."""
    if POLICY.is_file() and MARK in POLICY.read_text(encoding="utf-8", errors="replace"):
        POLICY.unlink()
    if os.path.lexists(_kept()):
        _kept().rename(POLICY)


def _kept() -> Path:
    return POLICY.with_name(f"{POLICY.name}.before-mainstay")
