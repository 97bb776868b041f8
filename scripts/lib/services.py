"""Start, stop and look after the outside programs of scripts/services.toml, on loopback and free ports.

scripts/services up        start what is not running; prints the names of those that it started
scripts/services down      stop what runs
scripts/services status    say what is there
scripts/services env       print the variables that the tests read, for `eval`
"""

from __future__ import annotations

import shlex
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from services_packages import install
from services_program import Service
from services_run import ServiceError, alone

LOCK_SECONDS = 1800  # as long as another call may need to install and start everything


def load(table: Path, state: Path) -> list[Service]:
    """The services of a table file."""
    services: dict[str, Service] = {}
    for name, entry in tomllib.loads(table.read_text(encoding="utf-8")).items():
        try:
            services[name] = Service(name, state / name, dict(services), **entry)
        except TypeError as fault:
            raise ServiceError(f"{table}: [{name}] is not right: {fault}") from None
    return list(services.values())


def main(arguments: Sequence[str], table: Path, state: Path) -> int:
    """Do what the one argument says."""
    looks = {"status": status, "env": env}
    changes = {"up": up, "down": down}
    if len(arguments) != 1 or arguments[0] not in {*looks, *changes}:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        services = load(table, state)
        if look := looks.get(arguments[0]):
            look(services)
            return 0
        state.mkdir(parents=True, exist_ok=True)
        with alone(state, LOCK_SECONDS):
            changes[arguments[0]](services)
    except ServiceError as fault:
        print(fault, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def up(services: Sequence[Service]) -> None:
    """Start what is not running; when one cannot be started, those that were are stopped again."""
    _install_missing([service for service in services if service.running() is None])
    started: list[Service] = []
    try:
        for service in services:
            if service.command and service.running() is None:
                service.start()
                started.append(service)
    except BaseException:
        for service in reversed(started):
            service.stop()
        raise
    for service in started:
        print(service.name)


def _install_missing(services: Sequence[Service]) -> None:
    lacking = [service for service in services if service.missing()]
    for service in lacking:
        if not service.packages:
            raise ServiceError(f"{service.name} needs the program {service.missing()[0]}: install it")
    if lacking:
        packages = dict.fromkeys(package for service in lacking for package in service.packages)
        install(list(packages), lacking[0].state.parent / "install.log")
    for service in lacking:
        if missing := service.missing():
            raise ServiceError(f"{service.name}: {' '.join(service.packages)} came without {', '.join(missing)}")


def down(services: Sequence[Service]) -> None:
    """Stop what runs, the last started first."""
    for service in reversed(services):
        if service.stop():
            print(f"stopped {service.name}")


def status(services: Sequence[Service]) -> None:
    """One line a service."""
    for service in services:
        if not service.command:
            missing = service.missing()
            print(f"{service.name}: " + (f"{', '.join(missing)} not installed" if missing else "installed"))
            continue
        record = service.running()
        print(f"{service.name}: " + (f"port {record['port']}, process {record['pid']}" if record else "not running"))


def env(services: Sequence[Service]) -> None:
    """Shell lines that export what the tests read."""
    for service in services:
        for name, value in service.variables().items():
            print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path("scripts/services.toml"), Path(".mainstay/services").absolute()))
