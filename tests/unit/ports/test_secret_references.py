"""References to secrets, and values that stay those of now."""

from __future__ import annotations

import copy

import pytest

from mainstay import Secret
from mainstay.ports.secrets import (
    LivingSecret,
    Reference,
    SecretDocument,
    SecretUnreadable,
    reference_of,
    value_of,
)


@pytest.mark.parametrize(
    ("text", "scheme", "path", "key"),
    [
        ("env://NAME", "env", "NAME", ""),
        ("file:///run/secrets/key", "file", "/run/secrets/key", ""),
        ("file://secrets/key", "file", "secrets/key", ""),
        ("file:///run/my secrets/key", "file", "/run/my secrets/key", ""),
        ("vault://kv/shop#password", "vault", "kv/shop", "password"),
        ("aws-sm://prod/shop", "aws-sm", "prod/shop", ""),
        (
            "aws-sm://arn:aws:secretsmanager:eu-1:1:secret:x-Ab#k",
            "aws-sm",
            "arn:aws:secretsmanager:eu-1:1:secret:x-Ab",
            "k",
        ),
    ],
)
def test_a_reference_names_a_place_and_a_member(text: str, scheme: str, path: str, key: str) -> None:
    reference = reference_of(text)
    assert reference == Reference(scheme, path, key)
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "env:NAME", "env://", "vault://", "vault://#key", "vault://a#", "vault://a#b c", "ENV://NAME"),
        *(
            "sqlite:///shop.sqlite",
            "postgresql://u:p@h/d",
            "memory:",
            "https://a.example/#x",
            " env://NAME",
            "vaults://a",
        ),
        *("env://A\nB#c\n", "-----BEGIN PRIVATE KEY-----\nenv://X"),
    ],
)
def test_other_texts_stand_for_themselves(text: str) -> None:
    assert reference_of(text) is None


@pytest.mark.parametrize(
    ("document", "reference", "value"),
    [
        (SecretDocument("text"), "env://A", "text"),
        (SecretDocument('{"a": "b"}', {"a": "b"}), "aws-sm://x", '{"a": "b"}'),
        (SecretDocument('{"a": "b"}', {"a": "b"}), "aws-sm://x#a", "b"),
        (SecretDocument(members={"a": "b"}), "vault://x", "b"),
        (SecretDocument(members={"a": "b", "c": "d"}), "vault://x#c", "d"),
    ],
)
def test_what_a_reference_means_of_a_document(document: SecretDocument, reference: str, value: str) -> None:
    found = reference_of(reference)
    assert found is not None
    assert value_of(document, found) == value


@pytest.mark.parametrize(
    ("document", "reference", "says"),
    [
        (
            SecretDocument(members={"a": "hidden", "b": "hidden"}),
            "vault://x",
            "it has 2 members: name one, as vault://x#NAME",
        ),
        (SecretDocument(members={}), "vault://x", "it has 0 members"),
        (SecretDocument(members={"a": "hidden"}), "vault://x#b", "there is no b in it"),
        (SecretDocument("hidden"), "aws-sm://x#b", "there is no b in it"),
        (SecretDocument(""), "env://x", "it is empty"),
        (SecretDocument(" \n"), "file://x", "it is empty"),
        (SecretDocument(members={"a": ""}), "vault://x#a", "it is empty"),
    ],
)
def test_what_is_not_there_is_said(document: SecretDocument, reference: str, says: str) -> None:
    found = reference_of(reference)
    assert found is not None
    with pytest.raises(SecretUnreadable, match=says) as refused:
        value_of(document, found)
    assert "hidden" not in str(refused.value)


def test_a_living_secret_has_the_value_of_now_and_shows_none() -> None:
    living = LivingSecret(Reference("vault", "kv/shop", "password"), "database.url")
    assert living.reveal() == ""
    living.take("first")
    assert (living.reveal(), living.former) == ("first", None)
    living.take("second")
    assert (living.reveal(), living.former) == ("second", "first")
    living.give_back("first", None)
    assert (living.reveal(), living.former) == ("first", None)
    for shown in (repr(living), str(living), f"{living}", repr(SecretDocument("first", {"a": "first"}))):
        assert "first" not in shown
    with pytest.raises(TypeError):
        copy.copy(living)


def test_a_living_secret_is_equal_to_itself_only() -> None:
    one, other = (LivingSecret(Reference("env", "A"), "x", "same") for _ in range(2))
    assert one == one
    assert one != other
    assert one != Secret("same")
    assert len({one, other}) == 2
