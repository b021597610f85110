# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""User and vendor data: mappings become cloud-config, texts are checked as cloud-init reads them, by the header. Pure.

cloud-init only logs what it cannot read, in the guest, and boots without it.
"""

from __future__ import annotations

import email
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..._errors import InvalidInput
from .texts import check_texts
from .yaml_text import UNPRINTABLE, encodable, yaml_text

yaml: Any
try:
    import yaml
except ImportError:  # a host without PyYAML: the guest's cloud-init is the first that reads the text
    yaml = None

CLOUD_CONFIG = "#cloud-config"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
QUOTED = re.compile(r"'[^'<]{4,}'|\"[^\"<]{4,}\"")
MIME_HEAD = 4096


def user_data_text(data: Any, where: str) -> str:
    """Return the text of user or vendor data; raise InvalidInput for what cloud-init would not take."""
    if data is None:
        return f"{CLOUD_CONFIG}\n{{}}\n"
    if isinstance(data, Mapping):
        check_texts(data, where)
        return f"{CLOUD_CONFIG}\n{yaml_text(data, where)}"
    if not isinstance(data, str):
        raise InvalidInput(f"{where}: a {type(data).__name__} was given; it must be a dictionary or a text.", option=where)
    _check(encodable(data, where), where)
    return data


def is_cloud_config(text: str) -> bool:
    """Return whether a text is one cloud-config document."""
    return _header(text) == CLOUD_CONFIG


def _check(text: str, where: str) -> None:
    if "\0" in text:
        raise InvalidInput(f"{where}: it has a NUL character, which no text of cloud-init has.", option=where)
    header = _header(text)
    if header is None:
        raise InvalidInput(
            f"{where}: a text must begin with #cloud-config, #! or another header that cloud-init knows "
            f"({', '.join(sorted(CHECKS))}); without one it is ignored.",
            option=where,
        )
    CHECKS[header](text, where)


def _header(text: str) -> str | None:
    """Return the header by which cloud-init takes a text; a longer word is another one, or none."""
    for header in sorted(CHECKS, key=len, reverse=True):
        rest = text[len(header) : len(header) + 1]
        if text.lower().startswith(header.lower()) and (header[-1] in "!:" or not rest or rest.isspace()):
            return header
    return None


def _check_mapping(text: str, where: str) -> None:
    found = _load(text, where)
    if found is not None and not isinstance(found, Mapping):
        raise InvalidInput(
            f"{where}: cloud-config is a mapping of keys to values, a {type(found).__name__} was found.", option=where
        )


def _check_archive(text: str, where: str) -> None:
    if yaml is not None and not isinstance(_load(text, where), list):
        raise InvalidInput(f"{where}: a cloud-config-archive is a list of parts.", option=where)


def _load(text: str, where: str) -> Any:
    found = UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise InvalidInput(
            f"{where}: line {line} has the character U+{ord(found[0]):04X}, which YAML forbids; write it as an escape in double "
            "quotes, or give the data as a dictionary.",
            option=where,
        )
    if yaml is None:
        return None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{where}: cloud-init cannot read it as YAML: {_reason(error)}.", option=where) from None


def _reason(error: Exception) -> str:
    """Return what is wrong and where, without what is written there: it can be a password."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "a value is not what it looks like"
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return QUOTED.sub("…", str(problem)) + place


def _check_script(text: str, where: str) -> None:
    for line in text.split("\n", 2)[:2]:
        if line.startswith("#!") and line.endswith("\r"):
            raise InvalidInput(
                f"{where}: its lines end as on Windows (CRLF), and the guest would look for an interpreter whose name ends in a "
                "carriage return; end them with a line feed alone.",
                option=where,
            )
    head = text.split("\n", 1)[0]
    if not head.startswith(BOOTHOOK) and not re.match(r"#![ \t]*/", head):
        raise InvalidInput(f"{where}: a script begins with #! and the path of its interpreter, such as #!/bin/sh.", option=where)


def _check_urls(text: str, where: str) -> None:
    lines = [re.sub("(?i)^#include(-once)?", "", line).strip() for line in text.splitlines()]
    urls = [line for line in lines if line and not line.startswith("#")]
    if not urls or not all(map(URL.fullmatch, urls)):
        raise InvalidInput(f"{where}: #include is followed by URLs, one a line.", option=where)


def _check_template(text: str, where: str) -> None:
    head, _end, body = text.partition("\n")
    if head.split(":", 1)[1].strip().lower() != "jinja":
        raise InvalidInput(f"{where}: the only template that cloud-init knows begins with '## template: jinja'.", option=where)
    header = _header(body)
    if header is None or header == TEMPLATE:
        raise InvalidInput(
            f"{where}: the second line of a template must be a header that cloud-init knows, such as #cloud-config.", option=where
        )
    if header in (SCRIPT, BOOTHOOK):
        _check_script(body, where)


def _check_mime(text: str, where: str) -> None:
    if "mime-version:" not in text[:MIME_HEAD].lower():
        raise InvalidInput(f"{where}: cloud-init takes MIME only with the header 'MIME-Version: 1.0'.", option=where)
    message = email.message_from_string(text)
    if message.get_content_maintype() == "multipart" and not message.is_multipart():
        raise InvalidInput(f"{where}: this MIME text has no part; check its boundary.", option=where)
    for place, part in enumerate(one for one in message.walk() if not one.is_multipart()):
        content: Any = part.get_payload(decode=True)
        text = content.decode("utf-8", "replace")
        header = TYPES.get(part.get_content_type()) or _header(text)
        if header in (CLOUD_CONFIG, ARCHIVE, SCRIPT, BOOTHOOK):
            _check_part(CHECKS[header], text, where, place + 1)


def _check_part(check: Callable[[str, str], None], text: str, where: str, number: int) -> None:
    name = f"{where}: part {number}"
    try:
        check(text, name)
    except InvalidInput as error:
        raise InvalidInput(error.message, option=where) from None


def _take(_text: str, _where: str) -> None:
    """Take what only cloud-init can check."""


ARCHIVE, SCRIPT, BOOTHOOK, TEMPLATE = "#cloud-config-archive", "#!", "#cloud-boothook", "## template:"
CHECKS: Mapping[str, Callable[[str, str], None]] = {
    CLOUD_CONFIG: _check_mapping,
    ARCHIVE: _check_archive,
    "#cloud-config-jsonp": _take,
    SCRIPT: _check_script,
    BOOTHOOK: _check_script,
    "#include": _check_urls,
    "#include-once": _check_urls,
    "#part-handler": _take,
    "#upstart-job": _take,
    TEMPLATE: _check_template,
    "Content-Type:": _check_mime,
    "MIME-Version:": _check_mime,
}
TYPES = {
    "text/cloud-config": CLOUD_CONFIG,
    "text/cloud-config-archive": ARCHIVE,
    "text/x-shellscript": SCRIPT,
    "text/cloud-boothook": BOOTHOOK,
}
