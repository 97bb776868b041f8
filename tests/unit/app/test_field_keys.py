"""The keys of encrypted fields from settings: none in production is refused, development has one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest

from mainstay import Entity, Module, Service, field
from mainstay.app.assembly import assemble
from mainstay.app.privacy.keys import field_cipher
from mainstay.app.settings import Settings, SettingsRefused, load
from mainstay.model.faults import StartupFailed
from mainstay.ports.encryption import FieldCipher
from mainstay.testing import Recorder

KEY, EARLIER = "a key of fields that only tests know: one", "a key of fields that only tests know: two"
PRODUCTION = {
    "MAINSTAY_SEALING_SECRET": "a sealing value that only tests know, long enough",
    "MAINSTAY_DATABASE_URL": "sqlite:///shop.sqlite",
}


class Card(Entity):
    """A card."""

    number: str = field(encrypted=True)


module = Module("shop")
module.entity(Card)
SERVICE = Service("shop", version="1", modules=[module])


def settings(folder: Path, environ: Mapping[str, str], profile: str = "production") -> Settings:
    given = {**(PRODUCTION if profile == "production" else {}), **environ}
    return load(folder, environ={"MAINSTAY_PROFILE": profile, **given})


def cipher(folder: Path, environ: Mapping[str, str], profile: str = "production") -> FieldCipher | None:
    return field_cipher(settings(folder, environ, profile))


def test_production_without_a_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(
        StartupFailed, match=r"Card\.number: it is encrypted, and there is no key \(set encryption\.key"
    ):
        assemble(SERVICE, settings(tmp_path, {}), observer=Recorder())
    assemble(SERVICE, settings(tmp_path, {"MAINSTAY_ENCRYPTION_KEY": KEY}), observer=Recorder())


@pytest.mark.parametrize("profile", ["development", "test"])
def test_elsewhere_there_is_a_key_of_the_clone(tmp_path: Path, profile: str) -> None:
    one, again = cipher(tmp_path, {}, profile), cipher(tmp_path, {}, profile)
    (tmp_path / "other").mkdir()
    other = cipher(tmp_path / "other", {}, profile)
    assert one is not None
    assert again is not None
    assert other is not None
    stored = one.encrypt(b"value", b"label", UUID(int=1))
    assert again.decrypt(stored, b"label", UUID(int=1)) == b"value"
    assert other.present != one.present


def test_new_values_take_the_key_and_old_ones_open(tmp_path: Path) -> None:
    before = cipher(tmp_path, {"MAINSTAY_ENCRYPTION_KEY": EARLIER})
    after = cipher(tmp_path, {"MAINSTAY_ENCRYPTION_KEY": KEY, "MAINSTAY_ENCRYPTION_PREVIOUS": EARLIER})
    assert before is not None
    assert after is not None
    stored = before.encrypt(b"value", b"label", UUID(int=1))
    assert after.decrypt(stored, b"label", UUID(int=1)) == b"value"
    assert after.present != before.present == after.key_of(stored)


@pytest.mark.parametrize(
    ("environ", "profile", "key"),
    [
        ({"MAINSTAY_ENCRYPTION_KEY": "short"}, "production", "encryption.key"),
        ({"MAINSTAY_ENCRYPTION_KEY": "short"}, "development", "encryption.key"),
        ({"MAINSTAY_ENCRYPTION_KEY": f"development-only-{KEY}"}, "production", "encryption.key"),
        ({"MAINSTAY_ENCRYPTION_KEY": KEY, "MAINSTAY_ENCRYPTION_PREVIOUS": "short"}, "test", "encryption.previous"),
        ({"MAINSTAY_ENCRYPTION_PREVIOUS": EARLIER}, "test", "encryption.key"),
        (
            {
                "MAINSTAY_ENCRYPTION_KEY": KEY,
                "MAINSTAY_ENCRYPTION_PREVIOUS": ",".join(f"{EARLIER}{n}" for n in range(8)),
            },
            "test",
            "encryption.previous",
        ),
    ],
)
def test_keys_that_are_no_use_are_refused(tmp_path: Path, environ: Mapping[str, str], profile: str, key: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        settings(tmp_path, environ, profile)
    assert key in {fault.key.partition("[")[0] for fault in refused.value.faults}
    assert not any(value in str(refused.value) for value in (KEY, EARLIER, "short"))
