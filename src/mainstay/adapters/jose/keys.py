"""Keys for tokens, from the values that stand in settings: a secret, PEM text, a JWK or a JWK set (RFC 7517).

A key is bound to one algorithm when it is loaded. Which algorithm a token is checked with is never the token's choice.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

from mainstay.adapters.jose import algorithms
from mainstay.adapters.jose.algorithms import ALGORITHMS, Algorithm, Sign, Verify
from mainstay.adapters.jose.encoding import decode_object
from mainstay.adapters.jose.weak_rsa import has_roca_form

MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2: as long as the hash
MIN_SECRET_SPREAD = 8  # different byte values; 32 random bytes have fewer about once in 10**45
MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
MAX_RSA_BITS = 16384  # verifying costs time that grows with the square of the size
MIN_RSA_EXPONENT = 65537
MAX_KEYS = 64

_ADVICE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class KeyRefused(ValueError):
    """A key of the settings cannot be used; the message says why and what to do, and never shows the key."""


class Key:
    """One key, its algorithm and its key id (None: it may serve tokens of any key id, or without one)."""

    __slots__ = ("_sign", "_verify", "algorithm", "kid")

    def __init__(self, algorithm: Algorithm, kid: str | None, verify: Verify, sign: Sign | None) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self._verify = verify
        self._sign = sign

    @property
    def verify(self) -> Verify:
        """A function of (signing input, signature segment in base64url) that says whether they fit."""
        return self._verify

    @property
    def can_sign(self) -> bool:
        """Whether the private part, or the secret, is known."""
        return self._sign is not None

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message``. Raises ``KeyRefused`` where only the public part is known."""
        if self._sign is None:
            raise KeyRefused(f"the {self.algorithm} key is a public key: signing needs the private one")
        return self._sign(message)

    def __repr__(self) -> str:
        return f"<Key {self.algorithm} kid={self.kid!r}>"


def load_keys(material: str | bytes, *, algorithm: str | None = None, kid: str | None = None) -> tuple[Key, ...]:
    """Load what stands in a setting: PEM text, a JWK or JWK set in JSON, or else a shared secret.

    ``algorithm`` may be left out where the material says it: a secret is HS256, an RSA key RS256, a P-256 key ES256, an
    Ed25519 key EdDSA. Raises ``KeyRefused``.
    """
    if algorithm is not None:
        _check_algorithm(algorithm)
    text = _text(material).strip()
    if text.startswith("-----BEGIN"):
        return (load_pem(text, algorithm=algorithm, kid=kid),)
    if text.startswith("{"):
        document = _json_object(text)
        if "keys" in document:
            return load_jwk_set(document, algorithm=algorithm)
        return (load_jwk(document, algorithm=algorithm, kid=kid),)
    if algorithm not in (None, "HS256"):
        raise KeyRefused(f"{algorithm} needs a key in PEM or JWK form; the text given is neither")
    return (load_secret(material, kid=kid),)


def load_secret(secret: str | bytes, *, kid: str | None = None) -> Key:
    """Load a shared secret for HS256: at least 32 bytes, of text its UTF-8. Raises ``KeyRefused``."""
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    if len(raw) >= MIN_SECRET_BYTES and len(set(raw)) < MIN_SECRET_SPREAD:
        raise KeyRefused(f"the secret repeats few different characters and can be guessed; {_ADVICE}")
    if b"-----BEGIN" in raw or raw.lstrip().startswith(b"{"):
        raise KeyRefused("a PEM or JWK document is no shared secret: load it as the key that it is")
    return _bind_secret(raw, kid)


def load_pem(text: str | bytes, *, algorithm: str | None = None, kid: str | None = None) -> Key:
    """Load a public key, a private key without password, or a certificate's key from PEM. Raises ``KeyRefused``."""
    from cryptography.exceptions import UnsupportedAlgorithm

    raw = _text(text).strip().encode()
    try:
        native = _read_pem(raw)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused("the PEM text holds no key that can be read (a password is not supported)") from None
    return _bind(native, algorithm, kid)


def load_jwk(document: str | bytes | Mapping[str, Any], *, algorithm: str | None = None, kid: str | None = None) -> Key:
    """Load one JWK. ``algorithm`` and ``kid`` stand in for members that it lacks. Raises ``KeyRefused``."""
    jwk = _json_object(document)
    _check_use(jwk)
    own_kid = jwk.get("kid", kid)
    if own_kid is not None and not isinstance(own_kid, str):
        raise KeyRefused("the JWK's kid is not a string")
    own_algorithm = jwk.get("alg", algorithm)
    if algorithm is not None and own_algorithm != algorithm:
        raise KeyRefused(f"the JWK is for another algorithm than the {algorithm} of the settings")
    kty = jwk.get("kty")
    if kty not in ("oct", "RSA", "EC", "OKP"):
        raise KeyRefused("the JWK's kty is none of oct, RSA, EC, OKP")
    if own_algorithm is not None:
        _check_algorithm(own_algorithm)
    native = _import_jwk(jwk)
    if isinstance(native, bytes):
        if own_algorithm not in (None, "HS256"):
            raise KeyRefused(f"a key of kty oct is for HS256, not for {own_algorithm}")
        return _bind_secret(native, own_kid)
    return _bind(native, own_algorithm, own_kid)


def load_jwk_set(document: str | bytes | Mapping[str, Any], *, algorithm: str | None = None) -> tuple[Key, ...]:
    """Load the signature keys of a JWK set; keys for encryption are passed over (RFC 7517, section 5).

    Raises ``KeyRefused`` for a set without signature keys, with one key id twice, or with shared secrets beside public
    keys: such a document would be published one day.
    """
    keys = _json_object(document).get("keys")
    if not isinstance(keys, list) or not all(isinstance(jwk, Mapping) for jwk in keys):
        raise KeyRefused("a JWK set needs the member keys: a list of JWK objects")
    if len(keys) > MAX_KEYS:
        raise KeyRefused(f"the JWK set has {len(keys)} keys, at most {MAX_KEYS} are accepted")
    loaded = tuple(load_jwk(jwk, algorithm=algorithm) for jwk in keys if jwk.get("use") != "enc")
    if not loaded:
        raise KeyRefused("the JWK set has no key for signatures")
    check_key_ids(loaded)
    if len({key.algorithm == "HS256" for key in loaded}) > 1:
        raise KeyRefused("the JWK set mixes shared secrets with public keys: keep them in settings of their own")
    return loaded


def check_key_ids(keys: tuple[Key, ...]) -> None:
    """Raise ``KeyRefused`` where two of ``keys`` have one key id."""
    named = [key.kid for key in keys if key.kid is not None]
    if len(set(named)) != len(named):
        raise KeyRefused("two keys have the same kid: give each its own")


def _text(material: str | bytes) -> str:
    if isinstance(material, str):
        return material
    return material.decode("utf-8", "replace")


def _json_object(document: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(document, Mapping):
        return document
    try:
        return decode_object(_text(document).strip().encode())
    except ValueError:
        raise KeyRefused("the JWK is not a JSON object (UTF-8, each member once)") from None


def _check_use(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise KeyRefused('the JWK\'s use is not "sig": it is no key for signatures')
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and {"verify", "sign"} & set(map(str, operations))):
        raise KeyRefused('the JWK\'s key_ops name neither "verify" nor "sign": it is no key for signatures')


def _check_algorithm(name: object) -> Algorithm:
    if name not in ALGORITHMS:
        raise KeyRefused(
            f"the algorithm {str(name)[:16]!r} is not supported, choose of {', '.join(sorted(ALGORITHMS))}"
        )
    return cast(Algorithm, name)


def _import_jwk(jwk: Mapping[str, Any]) -> Any:
    """Return the secret's bytes, or the key object of the cryptography package."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of (a short key) is refused below
            return JWKRegistry.import_key(dict(jwk)).raw_value
    except (JoseError, ValueError, KeyError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused("the JWK is not a valid key of its kty (members missing, or not on the curve)") from None


def _read_pem(raw: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    if b"-----BEGIN CERTIFICATE-----" in raw:
        from cryptography.x509 import load_pem_x509_certificate

        return load_pem_x509_certificate(raw).public_key()
    if b"PRIVATE KEY-----" in raw:
        return load_pem_private_key(raw, password=None)
    return load_pem_public_key(raw)


def _bind_secret(raw: bytes, kid: str | None) -> Key:
    if len(raw) < MIN_SECRET_BYTES:
        raise KeyRefused(f"the secret has {len(raw)} bytes, HS256 needs at least {MIN_SECRET_BYTES}; {_ADVICE}")
    verify, sign = algorithms.hs256(raw)
    return Key("HS256", kid, verify, sign)


def _bind(native: Any, algorithm: str | None, kid: str | None) -> Key:
    private = native if hasattr(native, "private_bytes") else None
    public = native.public_key() if private is not None else native
    fitting = _fitting_algorithm(public)
    if algorithm is not None and _check_algorithm(algorithm) != fitting:
        raise KeyRefused(f"the key is for {fitting}, not for {algorithm}")
    bind: Callable[[Any, Any], tuple[Verify, Sign | None]] = {
        "RS256": algorithms.rs256,
        "ES256": algorithms.es256,
        "EdDSA": algorithms.eddsa,
    }[fitting]
    return Key(fitting, kid, *bind(public, private))


def _fitting_algorithm(public: Any) -> Algorithm:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(public, RSAPublicKey):
        _check_rsa(public)
        return "RS256"
    if isinstance(public, EllipticCurvePublicKey):
        if not isinstance(public.curve, SECP256R1):
            raise KeyRefused(f"the key is on the curve {public.curve.name}, ES256 needs P-256 (secp256r1)")
        return "ES256"
    if isinstance(public, Ed25519PublicKey):
        return "EdDSA"
    raise KeyRefused("the key is none of RSA, P-256, Ed25519")


def _check_rsa(public: Any) -> None:
    numbers = public.public_numbers()
    if not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        raise KeyRefused(f"the RSA key has {public.key_size} bits, accepted are {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    if numbers.e < MIN_RSA_EXPONENT:
        raise KeyRefused(f"the RSA key's public exponent is {numbers.e}, at least {MIN_RSA_EXPONENT} is needed")
    if has_roca_form(numbers.n):
        raise KeyRefused("the RSA key was made by a library with the ROCA fault (CVE-2017-15361): make a new one")
