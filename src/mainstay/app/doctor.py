"""The doctor: looks at everything that a start needs, changes nothing, and says what is wrong and how to mend it."""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from mainstay.app import devkey
from mainstay.app.complaint import MENDABLE, lines
from mainstay.app.settings import SettingFault, Settings, examine
from mainstay.model.service import Service
from mainstay.model.values import Secret

OLDEST_PYTHON = (3, 11)
_FEW_CALLS = 16
State = Literal["fine", "warning", "wrong"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at: how it is, and what to do where it is not fine."""

    about: str
    state: State
    message: str
    remedy: str = ""


class Patient:
    """What is looked at, as far as it is known yet: a later examination rests on the ones before it."""

    def __init__(self, settings: Settings, faults: list[SettingFault]) -> None:
        self.settings = settings
        self.faults = faults
        self.service: Service | None = None


Examination = Callable[[Patient], Iterator[Finding]]


def diagnose(
    directory: Path | None = None, *, profile: str | None = None, environ: Mapping[str, str] | None = None
) -> list[Finding]:
    """Look at everything, and return what was found."""
    settings, faults = examine(directory, profile=profile, environ=environ)
    patient = Patient(settings, faults)
    findings: list[Finding] = []
    for about, examination in _EXAMINATIONS:
        try:
            findings += examination(patient)
        except MENDABLE as error:
            findings += _complaints(about, error)
    return findings


def _complaints(about: str, error: Exception) -> Iterator[Finding]:
    """One finding for each thing that an error lists; what stands below a single one is its remedy."""
    said = lines(error) or [str(error)]
    if len(said) > 1 and hasattr(error, "faults"):
        for line in said[1:]:
            yield Finding(about, "wrong", line)
    else:
        yield Finding(about, "wrong", said[0], "; ".join(line.strip() for line in said[1:]))


def _python(_: Patient) -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("python", "wrong", f"Python {version} is too old", "use Python 3.11 or newer")
    else:
        yield Finding("python", "fine", f"Python {version} ({sys.executable})")


def _settings(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    where = settings.file or f"no mainstay.toml in {settings.root} or above"
    yield Finding("settings", "fine", f"the {settings.profile} profile ({settings.profile_source}); {where}")
    for fault in patient.faults:
        place = f" ({fault.source})" if fault.source else ""
        yield Finding("settings", "wrong", f"{fault.key}{place}: {fault.problem}", fault.remedy)
    if settings.is_production:
        for key, source in settings.sources.items():
            if source.startswith("mainstay.toml:") and _holds_secret(settings, key) and not source.endswith("_file"):
                remedy = f"give it by the environment, or name a file that holds it: {key}_file"
                yield Finding("settings", "warning", f"{key}: a secret stands in mainstay.toml", remedy)


def _holds_secret(settings: Settings, key: str) -> bool:
    if key.startswith("secrets."):
        return type(settings.secrets.get(key.removeprefix("secrets."))) is Secret
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part, None)
    return type(value) is Secret and key not in ("database.url", "blobs.url")


def _files(patient: Patient) -> Iterator[Finding]:
    state = patient.settings.state
    if patient.settings.is_production:
        if state.exists() and os.access(state, os.R_OK):
            message = f"{state} is a developer's: production needs nothing of it"
            yield Finding("files", "warning", message, "leave it out of the image (.dockerignore)")
        return
    key = state / devkey.FILE
    if not key.exists():
        yield Finding("files", "fine", "no development keys yet: the first `mainstay run` makes them")
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(
            "files", "wrong", f"{state}: its mode is {mode:04o}, others may look into it", f"chmod 700 {state}"
        )
    devkey.read_keys(state)
    yield Finding("files", "fine", f"development keys in {key}")


def _secret_files(patient: Patient) -> Iterator[Finding]:
    """Secrets in files that everybody on the machine may read."""
    for name, value in os.environ.items():
        if not (name.startswith("MAINSTAY_") and name.endswith("_FILE")):
            continue
        path = patient.settings.root / value
        if path.is_file() and path.stat().st_mode & stat.S_IROTH:
            yield Finding("files", "warning", f"{name}: everybody on this machine may read {path}", f"chmod 640 {path}")


def _keys(patient: Patient) -> Iterator[Finding]:
    from mainstay.app.credentials import resolve

    settings = patient.settings
    made = (settings.state / devkey.FILE).exists()
    given = bool(settings.auth.key.reveal() or settings.auth.keys)
    if not settings.is_production and not made and not given:
        return  # they would be made: a doctor changes nothing
    credentials = resolve(settings)
    if settings.auth.issuers:
        yield Finding("keys", "fine", f"issuers: {', '.join(one.url for one in settings.auth.issuers)}")
    if not credentials.keys and settings.auth.issuers:
        return
    if not credentials.keys:
        remedy = "set MAINSTAY_AUTH_KEY, auth.issuer and auth.audience, unless nobody logs in"
        yield Finding("keys", "warning", "there is no key: no token can be verified", remedy)
    else:
        names = ", ".join(f"{key.algorithm}" + (f" ({key.kid})" if key.kid else "") for key in credentials.keys)
        yield Finding(
            "keys", "fine", f"{names}; issuer {credentials.issuer}, audience {', '.join(credentials.audience)}"
        )


def _references(patient: Patient) -> Iterator[Finding]:
    """What is kept elsewhere. That each was had, or why not, is among the settings."""
    references, seconds = patient.settings.references, patient.settings.secrets_from.refresh_seconds
    if references:
        counts = Counter(secret.reference.scheme for secret in references)
        said = ", ".join(f"{number} by {scheme}" for scheme, number in sorted(counts.items()))
        again = f"every {seconds:g} s" if seconds else "at SIGHUP only"
        yield Finding("secrets", "fine", f"{said}; looked up again {again}")


def _hosts(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    if settings.http.hosts:
        yield Finding("hosts", "fine", f"answered for: {', '.join(settings.http.hosts)}")
    elif settings.is_production:
        message = "every host is answered for: a name that somebody points here is taken for the service's own"
        yield Finding("hosts", "warning", message, 'list its names, for example http.hosts = ["api.shop.example"]')


def _service(patient: Patient) -> Iterator[Finding]:
    from mainstay.app.checking import inspect
    from mainstay.app.importing import import_service
    from mainstay.model.faults import StartupFailed

    service = import_service(patient.settings)
    bound = inspect(service)
    if bound.faults:
        raise StartupFailed(bound.faults)
    patient.service = service
    yield Finding("service", "fine", f"{service.name} {service.version}: {len(bound.operations)} operations")


def _database(patient: Patient) -> Iterator[Finding]:
    from mainstay.app.migrating import describe

    if patient.service is None:
        yield Finding(
            "database", "warning", "not looked at: there is no service to compare it with", "mend the service"
        )
    else:
        state, message, remedy = describe(patient.settings, patient.service)
        yield Finding("database", state, message, remedy)


def _ports(patient: Patient) -> Iterator[Finding]:
    from mainstay.app.sockets import listen

    settings = patient.settings
    places = [("http", settings.http.host, settings.http.port)]
    if settings.admin_open:
        places.append(("admin", settings.admin.host, settings.admin.port))
    for name, host, port in places:
        for one in listen(host, port):
            one.close()
        yield Finding("ports", "fine", f"{name}: {host}:{port} is free")


def _server(patient: Patient) -> Iterator[Finding]:
    name = patient.settings.http.server
    if name != "native":
        from mainstay.app.registry import find
        from mainstay.app.servers.unkept import UNKEPT

        find("server", name)
        message = f"served by {name}, which does not keep {', '.join(UNKEPT[name])}"
        yield Finding("server", "warning", message, "have a proxy before it that does, or use the native server")


def _tls(patient: Patient) -> Iterator[Finding]:
    from mainstay.app.tls import tls_files

    files = tls_files(patient.settings)
    if files is None:
        return
    left = (files.expires - datetime.now(UTC)).days
    message = f"{files.certificate} is good until {files.expires:%Y-%m-%d}, TLS {files.minimum} and newer"
    if left < patient.settings.http.tls.warning_days:
        yield Finding("tls", "warning", f"{message}: {left} days are left", "renew it, then send SIGHUP")
    else:
        yield Finding("tls", "fine", message)


def _overload(patient: Patient) -> Iterator[Finding]:
    http = patient.settings.http
    said = f"at most {http.max_concurrency} calls are in flight in a worker"
    if not http.queue_target_ms:
        message = f"{said}, and they may queue for any time: an overloaded service answers everybody late"
        yield Finding("overload", "warning", message, "set http.queue_target_ms, for example to 20")
    elif http.max_concurrency < _FEW_CALLS:
        remedy = f"http.max_concurrency is not the number of workers: give it {_FEW_CALLS} or more"
        yield Finding("overload", "warning", f"{said}: some that wait shut out all others", remedy)
    else:
        yield Finding("overload", "fine", f"{said}; a queue of more than {http.queue_target_ms:g} ms is cut")


_EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("python", _python),
    ("settings", _settings),
    ("files", _files),
    ("files", _secret_files),
    ("secrets", _references),
    ("keys", _keys),
    ("hosts", _hosts),
    ("service", _service),
    ("database", _database),
    ("overload", _overload),
    ("server", _server),
    ("tls", _tls),
    ("ports", _ports),
)
