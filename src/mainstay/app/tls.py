"""TLS of the HTTP door: the certificate and its key from files, looked at closely before anything listens."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mainstay.app.client_trust import ClientTrust, ask_clients, client_trust
from mainstay.app.settings import SettingFault, Settings, SettingsRefused

_CERTIFICATE, _KEY, _PASSWORD = "http.tls.certificate", "http.tls.key", "http.tls.key_password"
_ALPN = ("http/1.1",)
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: forward secrecy and authenticated encryption only


class TlsFiles(msgspec.Struct, frozen=True):
    """Where certificate and key are, and until when they are good. A representation shows no password.

    ``expires`` is the end of the first certificate in the file to end. ``clients`` says whose certificates are asked
    for, where any are.
    """

    certificate: Path
    key: Path
    password: str | None
    minimum: str
    expires: datetime
    clients: ClientTrust | None = None

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        trust = self.clients
        return [self.certificate, self.key, *([] if trust is None else trust.paths)]

    def __repr__(self) -> str:
        return f"<TlsFiles {self.certificate}>"


def tls_files(settings: Settings, now: datetime | None = None) -> TlsFiles | None:
    """Return the files of the settings, or None where there is no TLS. Raises ``SettingsRefused`` with every fault.

    A key that everybody may read is refused, and so is a certificate that is not good now or is not of the key.
    """
    tls, moment = settings.http.tls, now or datetime.now(UTC)
    if not tls.certificate:
        if tls.key:
            fault = SettingFault(
                _KEY, settings.source(_KEY), "there is no certificate beside it", f"set {_CERTIFICATE}"
            )
            raise SettingsRefused([fault], settings.profile)
        return None
    certificate = settings.root / tls.certificate
    key = settings.root / tls.key if tls.key else certificate
    faults = [*_file_faults(settings, certificate, key)]
    expires = datetime.min.replace(tzinfo=UTC)
    password = tls.key_password.reveal() or None
    if not faults:
        expires, found = _validity(settings, certificate, moment)
        faults = [*found, *_pair_faults(settings, certificate, key, password)]
    trust, found = client_trust(settings, moment)
    faults += found
    if faults:
        raise SettingsRefused(faults, settings.profile)
    return TlsFiles(certificate, key, password, tls.minimum, expires, trust)


def context_of(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a server: TLS from the minimum on, HTTP/1.1 by ALPN (RFC 7301), no renegotiation."""
    context = _empty_context(files.minimum)
    context.load_cert_chain(files.certificate, files.key, lambda: files.password or "")
    if files.clients is not None:
        ask_clients(context, files.clients)
    return context


def _empty_context(minimum: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if minimum == "1.2" else ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(list(_ALPN))
    return context


def _file_faults(settings: Settings, certificate: Path, key: Path) -> Iterator[SettingFault]:
    for path, name in {key: _KEY, certificate: _CERTIFICATE}.items():
        try:
            with path.open("rb"):
                mode = path.stat().st_mode
        except OSError as error:
            why = f"{path} cannot be read: {os.strerror(error.errno or 0)}"
            yield SettingFault(name, settings.source(name), why, "give the path of a PEM file that this user may read")
            continue
        if path == key and mode & stat.S_IROTH:
            why = f"everybody on this machine may read the key in {path}"
            yield SettingFault(name, settings.source(name), why, f"chmod 600 {path}")


def _validity(settings: Settings, path: Path, now: datetime) -> tuple[datetime, list[SettingFault]]:
    from cryptography import x509

    def fault(problem: str, remedy: str) -> list[SettingFault]:
        return [SettingFault(_CERTIFICATE, settings.source(_CERTIFICATE), problem, remedy)]

    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        return now, fault(f"{path} holds no certificate", "give a PEM file that begins with the server's certificate")
    begins = max(one.not_valid_before_utc for one in chain)
    expires = min(one.not_valid_after_utc for one in chain)
    if expires <= now:
        whose = (
            "the certificate" if expires == chain[0].not_valid_after_utc else "a certificate between it and its root"
        )
        return expires, fault(f"{whose} expired on {expires:%Y-%m-%d %H:%M} UTC", "renew it, then send SIGHUP")
    if begins > now:
        return expires, fault(f"the certificate is good from {begins:%Y-%m-%d %H:%M} UTC on", "look at the clock")
    return expires, []


def _pair_faults(settings: Settings, certificate: Path, key: Path, password: str | None) -> Iterator[SettingFault]:
    try:
        _empty_context("1.3").load_cert_chain(certificate, key, lambda: password or "")
    except ssl.SSLError as error:
        reason = str(error.reason or "")
        if "MISMATCH" in reason:
            yield SettingFault(
                _KEY, settings.source(_KEY), f"the key in {key} is not that of the certificate", "give the pair"
            )
        elif b"ENCRYPTED" in key.read_bytes():
            yield SettingFault(
                _PASSWORD,
                settings.source(_PASSWORD),
                f"the key in {key} is locked, and this password does not open it",
                "set MAINSTAY_HTTP_TLS_KEY_PASSWORD or http.tls.key_password_file",
            )
        else:
            yield SettingFault(_KEY, settings.source(_KEY), f"{key} holds no private key", "give a PEM file with one")
