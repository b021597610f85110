# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's own package settings, which hosts inherit so that apt and pip work in them as they do here."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .command import run

APT_SETTINGS = Path("/etc/apt/apt.conf.d")
CA_CERTIFICATES = Path("/usr/local/share/ca-certificates")
RESOLV_CONF = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))

_VARIABLE = re.compile(
    r"PIP_\w+|\w*(SSL|TLS|CA|CERT)\w*_(FILE|DIR|PATH|BUNDLE|INFO|CERTS)|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|GIT_SSL_CAINFO"
    r"|(https?|ftp|all|no)_proxy|(HTTPS?|FTP|ALL|NO)_PROXY"
)
_PIP_LISTS = ("find-links", "extra-index-url", "index-url")


def apt_settings() -> dict[str, str]:
    """Return the local drop-ins of APT that say how packages are fetched, by file name.

    Left out are files of packages (hosts have their own), those that container images bring (docker-*), and any that
    says something else than Acquire::….
    """
    found = {}
    for path in sorted(APT_SETTINGS.glob("*")) if APT_SETTINGS.is_dir() else []:
        if path.name.startswith("docker-") or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if _only_acquires(text) and run(["dpkg-query", "-S", str(path)], check=False).returncode != 0:
            found[path.name] = text
    return found


def _only_acquires(text: str) -> bool:
    """Return whether every top-level statement of an APT configuration text is of the Acquire tree."""
    bare = re.sub(r"(?m)^\s*(//|#)[^\n]*$|/\*[\s\S]*?\*/", "", text)
    depth, heads, head = 0, [], ""
    for char in re.sub(r'"[^"]*"', '""', bare):
        if depth == 0 and char in ";{":
            heads.append(head.strip())
            head = ""
        elif depth == 0 and char != "}":
            head += char
        depth += (char == "{") - (char == "}")
    return any(heads) and all(not h or h.lower().startswith("acquire") for h in heads)


def ca_certificates() -> dict[str, str]:
    """Return the machine's local CA certificates, by file name."""
    return {path.name: path.read_text() for path in sorted(CA_CERTIFICATES.rglob("*.crt"))}


def environment() -> dict[str, str]:
    """Return the variables for pip, TLS and proxies that are set here and make sense in a host.

    A path makes sense if it is under /etc/ssl (hosts have the same certificates) or a folder that hosts see.
    """
    shared = ("/etc/ssl/", *pip_folders())
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if _VARIABLE.fullmatch(name) and "\n" not in value and (not value.startswith("/") or value.startswith(shared))
    }


def resolv_conf() -> str:
    """Return name servers that a host can reach: a local stub resolver's own upstreams, not the stub."""
    text = ""
    for path in RESOLV_CONF:
        text = path.read_text() if path.exists() else text
        if text and not re.search(r"(?m)^nameserver\s+(127\.|::1)", text):
            break
    return text


def pip_settings() -> dict[str, str]:
    """Return the global section of pip's configuration, as pip commits it: site, then user, then PIP_CONFIG_FILE.

    Without constraints, whose file hosts do not have.
    """
    home = Path.home()
    paths = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    if os.environ.get("PIP_CONFIG_FILE"):
        paths.append(Path(os.environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser()
    parser.read([str(path) for path in paths])
    found = dict(parser.items("global")) if parser.has_section("global") else {}
    found.pop("constraint", None)  # it names a file of the machine, and caps what the machine's own tools may install
    return found


def pip_folders() -> list[str]:
    """Return the local folders that pip's settings name, to be seen by hosts at the same path.

    Of a simple index the parent comes along, as its pages may link to files beside it.
    """
    settings = pip_settings()
    words = " ".join([*(settings.get(key, "") for key in _PIP_LISTS), os.environ.get("PIP_FIND_LINKS", "")]).split()
    for key in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        words += os.environ.get(key, "").split()
    folders = set()
    for word in words:
        path = Path(unquote(urlsplit(word).path)) if word.startswith("file:") else Path(word)
        if word.startswith(("file:", "/")) and path.is_dir():
            folders.add(str(path.parent if path.name == "simple" else path))
    return sorted(folders - {"/"})
