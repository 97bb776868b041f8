"""``mainstay routes`` says which operation is in which version of the service."""

from __future__ import annotations

from mainstay import Module, Service, Version, anyone
from mainstay.app.checking import inspect
from mainstay.cli.commands.routes import _facts, _mounted, _text


def facts(*versions: str | Version) -> list[dict[str, object]]:
    module = Module("m")

    @module.query("GET /old", allow=anyone, until="2" if versions else None)
    async def old() -> str:
        return ""

    @module.query("GET /both", allow=anyone)
    async def both() -> str:
        return ""

    service = Service("s", modules=[module], versions=versions)
    return [_facts(one, service.versions) for one in inspect(service).operations]


def test_versions_are_listed() -> None:
    found = facts(Version("1", ended=True), "2", "3")
    assert {one["name"]: one["versions"] for one in found} == {"old": ["2"], "both": ["2", "3"]}
    lines = _text(found).splitlines()
    assert lines[0].split() == ["METHOD", "PATH", "OPERATION", "ALLOW", "VERSIONS"]
    assert lines[1].endswith("v2")
    assert lines[2].endswith("v2, v3")


def test_without_versions_nothing_is_said_of_them() -> None:
    found = facts()
    assert [one["versions"] for one in found] == [[], []]
    assert "VERSIONS" not in _text(found)


def test_mounted_applications_are_listed() -> None:
    service = Service("s", modules=[Module("m")])
    service.mount("/legacy", object(), kind="asgi")
    (line,) = _text([_mounted(one) for one in service.mounts]).splitlines()[1:]
    assert line.split() == ["MOUNT", "/legacy", "/legacy", "the", "application", "decides"]
