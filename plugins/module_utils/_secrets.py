# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be shown: options and messages without the secrets that users put into URLs and free texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

HIDDEN = "********"
USER = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/'\"<>]*|[^\s/?#'\"<>:@]*:(?!\d+(?:[/?#]|$))[^\s]*)@")
QUERY = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s?#'\"<>]*)[?#][^\s'\"<>]*[^\s'\"<>.,;:!)\]}]")
WHOLE_USER = re.compile(r"(://)[^/?#:@]*:(?!\d+(?:[/?#]|$)).*@", re.DOTALL)  # of a text that is one URL, whatever its password has
# A key of a configuration file, in any of their formats, whose value may be a password or key, and that value.
SETTING = re.compile(r"""(?i)^(.*?[\w.-]*(?:pass|psk|secret|private|shared|key)[\w.-]*["']?(?:\s*[:=]\s*|\s+|$))(.*)$""")
HIDDEN_BY_USER = re.compile(r"^[^\s/@:]+:[^\s@]*@")  # of a proxy without a scheme
Spec = Mapping[str, Any]


def without_secrets(text: str) -> str:
    """Return a text with the user, password, query and fragment of each URL in it hidden: they can give access."""
    return QUERY.sub(rf"\1?{HIDDEN}", USER.sub(rf"\1{HIDDEN}@", text)) if "://" in text else text


def public_url(url: str) -> str:
    """Return a URL without what can give access to it: user, password, query and fragment."""
    return shown_url(url).replace(f"{HIDDEN}@", "").removesuffix(f"?{HIDDEN}") if "://" in url else url


def shown_url(url: str) -> str:
    """Return what was given as a URL, sound or not, with its user, password, query and fragment hidden."""
    before, mark, _after = re.split(r"([?#]|$)", without_secrets(WHOLE_USER.sub(rf"\1{HIDDEN}@", url)), maxsplit=1)
    head, at, rest = (before + (f"?{HIDDEN}" if mark else "")).rpartition("@")
    scheme, colon, _user = head.rpartition("://")
    return f"{scheme}{colon}{HIDDEN}@{rest}" if at else rest


def without_settings(text: str) -> str:
    """Return the text of a configuration file with the values of settings hidden that may be passwords or keys, and of URLs.

    It knows them by their names, in files of netplan, ifupdown and systemd-networkd, and hides rather too much: the rest of the
    line, the line after a backslash, and all that is indented more.
    """
    found: list[str] = []
    deeper, continued = -1, False  # what is indented more than that belongs to a hidden value
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if continued or (deeper >= 0 and line.strip() and indent > deeper):
            found.append(f"{line[:indent]}{HIDDEN}")
            continued = continued and line.endswith("\\")
            continue
        setting = SETTING.match(line)
        if line.strip():
            deeper = indent if setting and not line.lstrip().startswith("#") else -1
        continued = bool(setting) and line.endswith("\\")
        found.append(f"{setting[1]}{HIDDEN}" if setting and setting[2] else without_secrets(line))
    return "\n".join(found)


def hidden_in(value: Any) -> Any:
    """Return JSON with the secrets in its URLs hidden."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: hidden_in(one) for key, one in value.items()}
    return [hidden_in(one) for one in value] if isinstance(value, list | tuple) else value


def spellings(*secrets: Any) -> set[str]:
    """Return the texts that stand for secrets in messages: as they are, and as XML writes them."""
    found: set[str] = set()
    for secret in secrets:
        if isinstance(secret, str) and secret:
            text = escape(secret, quote=False)
            found |= {secret, text, text.replace('"', "&quot;"), text.replace('"', "&quot;").replace("'", "&apos;")}
    return found


def without_words(text: str, secrets: Iterable[Any]) -> str:
    """Return a text with the secrets in it hidden where they stand alone, however short."""
    for secret in sorted(spellings(*secrets), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def shown_options(options: Mapping[str, Any], spec: Spec, free: Mapping[str, Spec] | None = None) -> dict[str, Any]:
    """Return a module's options as results and logs may show them.

    Only what the argument specification ``spec`` describes to the last value is shown: the values of free dictionaries, raw and
    ``no_log`` options and of misspelt ones are hidden. ``free`` has specifications of options that are free for Ansible.
    """
    return {key: _shown(value, spec.get(key), (free or {}).get(key)) for key, value in options.items()}


def _shown(value: Any, spec: Spec | None, inner: Spec | None) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if spec is None or spec.get("no_log") or spec.get("type") in ("raw", "json", "jsonarg"):
        return HIDDEN
    parts = inner or spec.get("options")
    if "dict" in (spec.get("type"), spec.get("elements")):
        return [_dict(one, parts) for one in value] if isinstance(value, list) else _dict(value, parts)
    return [_text(one) for one in value] if isinstance(value, list) else _text(value)


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if re.match(r"(?:[A-Za-z0-9]+:)?[A-Za-z][A-Za-z0-9+.-]*://", value):  # a checksum by URL may have its algorithm before it
        return shown_url(value)
    return HIDDEN_BY_USER.sub(rf"{HIDDEN}@", without_secrets(value))


def _dict(value: Any, parts: Spec | None) -> Any:
    if not isinstance(value, Mapping):
        return HIDDEN
    return shown_options(value, parts) if parts is not None else dict.fromkeys(map(str, value), HIDDEN)
