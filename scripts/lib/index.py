"""Where packages come from on this machine: pip's configuration, put into uv's words.

Companies point pip at a mirror and a certificate of their own; uv reads neither. Only the standard library is used,
because nothing else is there yet.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import html.parser
import http.client
import netrc
import os
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

CERTIFICATE_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
TIMEOUT_SECONDS = 60
PAGE_BYTES = 64 * 1024 * 1024


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Pip's settings by name (`index-url`, `cert`, ...): files first, later files and then `PIP_*` winning."""
    settings: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as fault:
            raise SetupError(f"{path} is no pip configuration: {fault}") from None
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            settings[name[4:].lower().replace("_", "-")] = value
    return settings


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return []
    home = Path(environ.get("HOME") or "/nonexistent")
    shared = [Path(folder) / "pip/pip.conf" for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    files = [*reversed(shared), Path("/etc/pip.conf"), home / ".pip/pip.conf", user]
    return [*files, Path(own)] if own else files


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy of `environ` in which uv finds the indexes, certificates and proxy that pip would use.

    What is already said in uv's own variables is left alone.
    """
    pip = pip_settings(environ)
    found = dict(environ)
    wanted = {
        "UV_DEFAULT_INDEX": environ.get("UV_INDEX_URL") or pip.get("index-url"),
        "UV_INDEX": environ.get("UV_EXTRA_INDEX_URL") or " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(link for link in pip.get("find-links", "").split() if _reachable(link)),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_HTTP_TIMEOUT": pip.get("timeout") or pip.get("default-timeout"),
        "SSL_CERT_FILE": pip.get("cert"),
        "SSL_CLIENT_CERT": pip.get("client-cert"),
        "HTTPS_PROXY": environ.get("https_proxy") or pip.get("proxy"),
        "HTTP_PROXY": environ.get("http_proxy") or pip.get("proxy"),
    }
    found.update({name: value for name, value in wanted.items() if value and not environ.get(name)})
    found["PIP_NO_INDEX"] = "1" if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"} else ""
    if "SSL_CERT_FILE" not in found and any(Path(bundle).exists() for bundle in CERTIFICATE_BUNDLES):
        found.setdefault("UV_SYSTEM_CERTS", "1")
    return found


def _reachable(link: str) -> bool:
    """uv, unlike pip, takes a folder that is not there for a fault."""
    return "://" in link or Path(link).is_dir()


def has_own_index(environ: Mapping[str, str]) -> bool:
    """Whether packages must come from somewhere else than the addresses in the lock file."""
    return bool(environ.get("UV_DEFAULT_INDEX") or environ.get("PIP_NO_INDEX"))


def fetch(wheel: Mapping[str, str], into: Path, environ: Mapping[str, str]) -> None:
    """Put a wheel of the lock file (`url`, `hash`) at `into`, from the configured index or else from its own address.

    Raises SetupError when it cannot be had, or when its bytes are not the locked ones.
    """
    filename = wheel["url"].rsplit("/", 1)[-1]
    try:
        with into.open("wb") as target:
            if source := _local(filename, environ):
                target.write(source.read_bytes())
            else:
                url = _find(filename, environ) if has_own_index(environ) else wheel["url"]
                with _get(url, environ) as answer:
                    shutil.copyfileobj(answer, target)
    except OSError as fault:
        raise SetupError(
            f"cannot download {filename}: {fault}\n"
            "  Check the network, the proxy (HTTPS_PROXY), the certificates (the package ca-certificates, PIP_CERT)\n"
            "  and the package index (PIP_INDEX_URL or pip.conf). Or install uv yourself and run this again."
        ) from None
    found = hashlib.sha256(into.read_bytes()).hexdigest()
    if f"sha256:{found}" != wheel["hash"]:
        into.unlink()
        raise SetupError(f"{filename} has sha256 {found}, the lock file says {wheel['hash']}: it is refused")


def _local(filename: str, environ: Mapping[str, str]) -> Path | None:
    folders = [Path(folder) for folder in environ.get("UV_FIND_LINKS", "").split(",") if folder]
    return next((folder / filename for folder in folders if (folder / filename).is_file()), None)


def _find(filename: str, environ: Mapping[str, str]) -> str:
    """The address of a file by the simple repository API (PEP 503; its HTML form, which every mirror serves)."""
    if environ.get("PIP_NO_INDEX"):
        raise SetupError(f"no package index may be used, and {filename} lies in no folder of find-links")
    page = f"{environ['UV_DEFAULT_INDEX'].rstrip('/')}/{filename.partition('-')[0]}/"
    links = _Links()
    with _get(page, environ) as answer:
        base = answer.geturl()
        links.feed(answer.read(PAGE_BYTES).decode("utf-8", "replace"))
    for href in links.hrefs:
        url = urllib.parse.urljoin(base, href.partition("#")[0])
        if urllib.parse.unquote(url.rsplit("/", 1)[-1]) == filename:
            return url
    raise SetupError(f"the package index has no {filename}: ask its keeper for it, or install uv yourself")


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _get(url: str, environ: Mapping[str, str]) -> http.client.HTTPResponse:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    request = urllib.request.Request(parts._replace(netloc=host + port).geturl(), headers={"Accept": "text/html, */*"})
    if login := _login(parts, environ):
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
    context = ssl.create_default_context(cafile=environ.get("SSL_CERT_FILE") or None)
    if client := environ.get("SSL_CLIENT_CERT"):
        context.load_cert_chain(client)
    if host in environ.get("UV_INSECURE_HOST", "").split():
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    answer: http.client.HTTPResponse = opener.open(request, timeout=TIMEOUT_SECONDS)
    return answer


def _login(parts: urllib.parse.SplitResult, environ: Mapping[str, str]) -> tuple[str, str] | None:
    index = urllib.parse.urlsplit(environ.get("UV_DEFAULT_INDEX", ""))
    if not parts.username and index.username and (index.hostname, index.port) == (parts.hostname, parts.port):
        parts = index  # a mirror's pages link to its files without repeating the login
    if parts.username:
        return urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    path = Path(environ.get("NETRC") or Path(environ.get("HOME") or "/nonexistent") / ".netrc")
    try:
        entry = netrc.netrc(str(path)).authenticators(parts.hostname or "") if path.is_file() else None
    except (netrc.NetrcParseError, OSError):
        return None
    return (entry[0], entry[2] or "") if entry else None
