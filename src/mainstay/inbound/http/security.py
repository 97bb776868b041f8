"""The security headers of every answer (OWASP REST Security, OWASP Secure Headers), put together at start-up."""

from __future__ import annotations

from collections.abc import Iterable

from mainstay.inbound.http.options import Security

_LISTED = frozenset({b"vary", b"link"})
"""Fields of which a second line adds to the first (RFC 9110, section 5.3): a team's own stand beside them."""


_CLOSED = b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
_STRICT = b"Content-Security-Policy: default-src 'none'; " + _CLOSED
_SHOWN = (
    b"Content-Security-Policy: default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; "
    b"style-src 'unsafe-inline'; " + _CLOSED
)
_VIEWED = ("image/", "video/", "audio/", "application/pdf")


def viewed(lines: bytes, media_type: str, *, inline: bool = True) -> bytes:
    """Return the header lines of a file, where it is one that a browser shows ``inline``.

    It does so in a page of its own making, which loads the file once more: the usual policy would forbid that. What can
    hold scripts (SVG, pages) keeps it, as does whatever has a policy that the team chose.
    """
    if inline and media_type.startswith(_VIEWED) and not media_type.startswith("image/svg"):
        return lines.replace(_STRICT, _SHOWN)
    return lines


def security_lines(security: Security | None, *, secure: bool) -> bytes:
    """Return the header lines of answers; ``secure`` says that the request came over TLS.

    Strict-Transport-Security is for those only (RFC 6797, section 7.2).
    """
    if security is None:
        return b""
    fields = [
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", security.content_policy),
        ("X-Frame-Options", security.frame_options),
        ("Referrer-Policy", security.referrer_policy),
        ("Cross-Origin-Opener-Policy", security.opener_policy),
        ("Cross-Origin-Resource-Policy", security.resource_policy),
        ("Permissions-Policy", security.permissions_policy),
        ("Strict-Transport-Security", _transport(security) if secure else ""),
    ]
    return "".join(f"{name}: {value}\r\n" for name, value in fields if value).encode("latin-1")


def mounted_lines(security: Security | None, *, secure: bool) -> bytes:
    """Return the header lines of a mounted application's answers.

    They are those that break no page: what a page may load, who may frame it and what it tells of where it came from is
    its own application's to say.
    """
    if security is None:
        return b""
    lines = "X-Content-Type-Options: nosniff\r\n"
    if secure and (transport := _transport(security)):
        lines += f"Strict-Transport-Security: {transport}\r\n"
    return lines.encode()


def _transport(security: Security) -> str:
    if not security.hsts_max_age:
        return ""
    below = "; includeSubDomains" if security.hsts_subdomains else ""
    return f"max-age={security.hsts_max_age}{below}" + ("; preload" if security.hsts_preload else "")


def without(lines: bytes, names: Iterable[str]) -> bytes:
    """Return header lines without those that somebody sets who knows better. Lists are kept: theirs adds to ours."""
    taken = {name.lower().encode("latin-1") for name in names} - _LISTED
    if not taken:
        return lines
    kept = (one for one in lines.split(b"\r\n")[:-1] if one.partition(b":")[0].lower() not in taken)
    return b"".join(one + b"\r\n" for one in kept)
