"""Contracts of services, without running them: the document as bytes and decoded, and validators of its schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from mainstay import Module, Service
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.memory.store import MemoryStore
from mainstay.app.documents import documents_of
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports


def bound_of(service: Service, secrets: Mapping[str, Any] | None = None) -> Bound:
    """Bind a service to adapters that nothing asks. Start-up faults fail the test."""
    nothing: Any = None
    ports = Ports(
        store=MemoryStore(),
        limiter=nothing,
        clock=SystemClock(),
        ids=SystemIds(),
        entropy=nothing,
        sealer=nothing,
        observer=nothing,
    )
    bound = bind(service, ports, secrets=secrets)
    assert not bound.faults, [str(fault) for fault in bound.faults]
    return bound


def contract_bytes(service: Service, secrets: Mapping[str, Any] | None = None) -> bytes:
    """Return the document as it is served."""
    return documents_of(bound_of(service, secrets))["/openapi.json"].body


def contract(*modules: Module, secrets: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Return the document of a service of some modules."""
    made: dict[str, Any] = json.loads(contract_bytes(Service("sample", modules=modules, **options), secrets))
    return made


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by their ids, with ``path`` and ``method`` added."""
    return {
        made["operationId"]: {**made, "path": path, "method": method.upper()}
        for path, methods in document["paths"].items()
        for method, made in methods.items()
    }


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """Return what is wrong with a value by a schema of the document."""
    validator = Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return sorted(error.message for error in validator.iter_errors(value))


def resolve(document: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside a document."""
    while "$ref" in found:
        target: Any = document
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found = target
    return found
