"""Settings of the forms of content reach the door, and what is not installed is refused with the remedy."""

from __future__ import annotations

import msgspec
import pytest

from mainstay.app.doors import options_of
from mainstay.app.settings import Settings, SettingsRefused
from mainstay.app.settings.model import Http
from mainstay.inbound.http import codings as codings_module
from mainstay.inbound.http.options import HttpOptions


def settings(**http: object) -> Settings:
    return Settings(http=msgspec.convert(http, Http))


def test_defaults_are_those_of_the_door() -> None:
    made, door = options_of(settings()), HttpOptions()
    for name in ("compress", "codings", "compress_least", "compress_types", "max_inflation", "msgpack", "cache_keys"):
        assert getattr(made, name) == getattr(door, name), name


def test_they_reach_the_door() -> None:
    made = options_of(
        settings(
            compress=False,
            codings=["gzip", "br"],
            compress_least=9,
            compress_types=["text/event-stream"],
            max_inflation=7,
            msgpack=False,
            cache_keys="cache-tag",
        )
    )
    assert (made.compress, made.codings, made.compress_least) == (False, ("gzip", "br"), 9)
    assert (made.compress_types, made.max_inflation) == (("text/event-stream",), 7)
    assert (made.msgpack, made.cache_keys) == (False, "cache-tag")


def test_a_coding_that_is_not_installed_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings_module, "is_installed", lambda name: name == "gzip")
    assert options_of(settings()).codings is None
    with pytest.raises(SettingsRefused) as refused:
        options_of(settings(codings=["zstd"]))
    (fault,) = refused.value.faults
    assert fault.key == "http.codings"
    assert "pip install 'mainstay[compress]'" in fault.problem


def test_others_than_those_known_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(codings=["lzma"])
    with pytest.raises(msgspec.ValidationError):
        settings(max_inflation=1)
