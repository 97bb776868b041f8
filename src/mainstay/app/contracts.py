"""Contracts of events at start-up: what is declared must fit what is kept beside the code, and who reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.kernel.bind import Bound
from mainstay.model.blueprint import Blueprint
from mainstay.model.event_checks import event_taken
from mainstay.model.faults import StartupFailed, StartupFault, by_place
from mainstay.ports.observer import Notice, Observer

if TYPE_CHECKING:
    from mainstay.deliver.contracts import EventDifference, Locked, Verdict

EVENT_CONTRACT = "event_contract"


def folder_of(settings: Settings) -> Path:
    """Return the folder of the kept schemas."""
    return settings.root / settings.contracts.events


def verdict_of(bound: Bound, settings: Settings) -> Verdict | None:
    """Compare a service's events with what is kept; None where nothing is kept, and nobody reads by another class.

    Raises ``Refusal`` for a file that is no schema.
    """
    if not folder_of(settings).is_dir() and not _has_views(bound.blueprint):
        return None
    from mainstay.deliver.contracts import flows_of, judge

    contracts, flows = settings.contracts, flows_of(bound.blueprint)
    return judge(bound.blueprint, flows, _locked(settings), contracts.compatibility, folder=contracts.events)


def check_contracts(bound: Bound, settings: Settings, observer: Observer) -> None:
    """Refuse to serve with events that who reads them cannot read. In development it is told, and served.

    What is emitted cannot be called back: a version that breaks its readers does not start, and the one before goes on
    serving. Raises ``StartupFailed``, and ``Refusal`` for a file that is no schema.
    """
    verdict = verdict_of(bound, settings)
    if verdict is None or not verdict.faults:
        return
    if settings.profile != "development":
        raise StartupFailed(verdict.faults)
    _tell(verdict.faults, observer)


def warnings_of(verdict: Verdict) -> Iterator[StartupFault]:
    """Walk what is no fault: schemas that are not kept as they are, and consumers that may meet what they refuse."""
    yield from verdict.warnings
    for schema, source in verdict.behind:
        message = f"version {schema.version} is not kept as it is declared"
        yield StartupFault(source, schema.name, message, "write it with: mainstay deliver events")


def _tell(faults: Iterable[StartupFault], observer: Observer) -> None:
    for fault in by_place(faults):
        facts = {"subject": fault.subject, "file": fault.source.file, "line": fault.source.line}
        observer.observe(Notice("warning", EVENT_CONTRACT, str(fault), facts))


def _has_views(blueprint: Blueprint) -> bool:
    """Whether a consumer reads an event as another class than the one that is emitted."""
    return any(
        isinstance(planned.operation.event, str)
        and (event := event_taken(planned)) is not None
        and blueprint.event_names.get(event) != planned.operation.event
        for planned in blueprint.planned
    )


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A service's events beside what is kept of them."""

    folder: Path
    verdict: Verdict
    differences: list[EventDifference]

    def write(self) -> list[Path]:
        """Write the schemas that fit and are not kept as they are. Returns their files."""
        from mainstay.deliver.contracts import path_of, text_of

        written = []
        for schema, _ in self.verdict.behind:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / path_of(schema.name, schema.version)
            file.write_bytes(text_of(schema))
            written.append(file)
        return written


def comparison_of(bound: Bound, settings: Settings) -> Comparison:
    """Compare all events of a service with what is kept. Raises ``Refusal`` for a file that is no schema."""
    from mainstay.deliver.contracts import differences, flows_of, judge, schemas_of

    contracts, blueprint = settings.contracts, bound.blueprint
    flows, locked = flows_of(blueprint), _locked(settings) or {}
    verdict = judge(blueprint, flows, locked, contracts.compatibility, folder=contracts.events)
    found = differences(schemas_of(flows, blueprint.shapes), locked, contracts.compatibility)
    return Comparison(folder=folder_of(settings), verdict=verdict, differences=found)


def _locked(settings: Settings) -> Locked | None:
    from mainstay.deliver.contracts import LockUnreadable, read_lock

    try:
        return read_lock(folder_of(settings))
    except LockUnreadable as error:
        raise Refusal(str(error), "mend it, or delete it and write it anew with: mainstay deliver events") from None
