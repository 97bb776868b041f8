"""Mutual TLS: whose client certificates the HTTP door believes, and which of them were revoked (RFC 5280)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from mainstay.app.settings import SettingFault, Settings

_CA, _CRL = "http.tls.client_ca", "http.tls.client_crl"
_CRL_BEGINS = b"-----BEGIN X509 CRL-----"


class ClientTrust(msgspec.Struct, frozen=True):
    """The file of the authorities, that of what they revoked (None: it is not asked), and whether all need one."""

    ca: Path
    crl: Path | None
    required: bool

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [self.ca] if self.crl is None else [self.ca, self.crl]


def client_trust(settings: Settings, now: datetime) -> tuple[ClientTrust | None, list[SettingFault]]:
    """Return whose certificates are believed, and what is wrong with the files. None where no client is asked."""
    tls = settings.http.tls
    if tls.client_certificates == "none":
        return None, []
    ca = settings.root / tls.client_ca
    crl = settings.root / tls.client_crl if tls.client_crl else None
    faults = list(_authority_faults(settings, ca, now))
    if crl is not None:
        faults += _revocation_faults(settings, crl, now)
    return ClientTrust(ca, crl, tls.client_certificates == "required"), faults


def ask_clients(context: ssl.SSLContext, trust: ClientTrust) -> None:
    """Have a server ask its clients for certificates.

    There are no session tickets: a session that is taken up again would pass by what was revoked meanwhile.
    """
    context.load_verify_locations(trust.ca)
    context.verify_mode = ssl.CERT_REQUIRED if trust.required else ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if trust.crl is not None:
        context.load_verify_locations(trust.crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _fault(settings: Settings, key: str, problem: str, remedy: str) -> SettingFault:
    return SettingFault(key, settings.source(key), problem, remedy)


def _read(settings: Settings, key: str, path: Path) -> bytes | SettingFault:
    try:
        return path.read_bytes()
    except OSError as error:
        why = f"{path} cannot be read: {os.strerror(error.errno or 0)}"
        return _fault(settings, key, why, "give the path of a PEM file that this user may read")


def _authority_faults(settings: Settings, path: Path, now: datetime) -> Iterator[SettingFault]:
    from cryptography import x509

    read = _read(settings, _CA, path)
    if isinstance(read, SettingFault):
        yield read
        return
    try:
        authorities = x509.load_pem_x509_certificates(read)
    except ValueError:
        yield _fault(settings, _CA, f"{path} holds no certificate", "give a PEM file with those of the authorities")
        return
    if all(one.not_valid_after_utc <= now for one in authorities):
        yield _fault(settings, _CA, f"each authority in {path} has expired: no client would be let in", "renew it")


def _revocation_faults(settings: Settings, path: Path, now: datetime) -> Iterator[SettingFault]:
    """Look at the lists of what was revoked: with one that is past its time no client of its authority is let in."""
    from cryptography import x509

    read = _read(settings, _CRL, path)
    if isinstance(read, SettingFault):
        yield read
        return
    _, *rest = read.split(_CRL_BEGINS)
    try:
        lists = [x509.load_pem_x509_crl(_CRL_BEGINS + one) for one in rest]
    except ValueError:
        lists = []
    if not lists:
        yield _fault(settings, _CRL, f"{path} holds no list of revoked certificates", "give a PEM file with one")
    for one in lists:
        ends = one.next_update_utc
        if ends is not None and ends <= now:
            why = f"a list in {path} was good until {ends:%Y-%m-%d %H:%M} UTC: its clients would all be turned away"
            yield _fault(settings, _CRL, why, "get the present one from its authority")
