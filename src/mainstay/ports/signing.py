"""Signatures in a service's own name: keys that it makes, and what they sign."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

SigningAlgorithm = Literal["EdDSA", "ES256"]


class Signer(ABC):
    """One key of the service's own, with its private part. It never shows it."""

    kid: str  # the thumbprint of its public part (RFC 7638)
    algorithm: SigningAlgorithm

    @abstractmethod
    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """Return the claims as a compact JWS of the type ``typ`` (RFC 7515, section 4.1.9)."""

    @abstractmethod
    def header(self, typ: str) -> bytes:
        """Return the first segment of every token of a type that this key signs, byte for byte.

        A token that begins otherwise is none of this key's: so neither the algorithm nor anything else that a header
        may say is a token's choice.
        """

    @abstractmethod
    def claims(self, token: bytes) -> dict[str, Any] | None:
        """Return the claims of a token whose signature is this key's, else None. The header is not looked at."""

    @abstractmethod
    def public_jwk(self) -> dict[str, str]:
        """Return the public part for others (RFC 7517): with ``kid``, ``alg`` and ``use``."""


class Signers(ABC):
    """Where signers come from."""

    @abstractmethod
    def make(self, algorithm: SigningAlgorithm) -> str:
        """Return the private part of a new key, as text that ``load`` takes."""

    @abstractmethod
    def load(self, private: str) -> Signer:
        """Return the signer of a private part. Raises ``ValueError`` for what is none, without a word of it."""
