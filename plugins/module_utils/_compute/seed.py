# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cloud-init NoCloud seed: what cloud-init reads at boot, as an ISO 9660 file that names its own content.

The digest of the content is the ISO's application identifier, so that a seed is compared by reading 128 bytes and without any
file beside it. The same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import InvalidInput
from .._files import fsync
from .._runner import Runner
from .model.request import CloudInitOptions

VOLUME = "CIDATA"
DATE = "2020010100000000"
APPLICATION = "EDGE-"
SECTOR = 2048
DESCRIPTOR = 16 * SECTOR
APPLICATION_FIELD = slice(574, 702)
CONTEXT_VOLUME = "CONTEXT"
CONTEXT_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
QUOTE, QUOTED = "'", "'\\''"
CLOUD_CONFIG = "#cloud-config\n"
HEADERS = (
    "#cloud-config",
    "#!",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    "#upstart-job",
    "## template:",
    "Content-Type:",
    "MIME-Version:",
)


@dataclass(frozen=True)
class Seed:
    """The files of a seed: name → text, and the label that the guest finds it by."""

    files: tuple[tuple[str, str], ...]
    volume: str = VOLUME

    @property
    def digest(self) -> str:
        """SHA-256 over names and texts."""
        return "sha256:" + hashlib.sha256(json.dumps(self.files).encode()).hexdigest()


def make_seed(options: CloudInitOptions, name: str, uuid: str) -> Seed:
    """Return the seed that the ``cloud_init`` options describe.

    The instance-id is the domain's UUID: a new seed for the same domain does not make cloud-init run again.
    """
    meta = {"instance-id": uuid, "local-hostname": options.hostname or name, **(options.meta_data or {})}
    if options.ssh_authorized_keys:
        meta["public-keys"] = list(options.ssh_authorized_keys)
    files = {"meta-data": _yaml(meta), "user-data": _user_data(options.user_data, "cloud_init.user_data")}
    if options.network_config:
        files["network-config"] = _yaml(_network(options.network_config))
    if options.vendor_data:
        files["vendor-data"] = _user_data(options.vendor_data, "cloud_init.vendor_data")
    return Seed(tuple(sorted(files.items())))


def make_context(options: Mapping[str, Any]) -> Seed:
    """Return OpenNebula's context disk: ``context.sh`` with each option as a shell variable, for guests that read it."""
    lines = ["# Context variables"]
    for name in sorted(options):
        value = options[name]
        if CONTEXT_NAME.fullmatch(name) is None:
            raise InvalidInput(
                f"context.{name}: this is not the name of a variable (upper-case letters, digits and underscores).",
                option=f"context.{name}",
            )
        text = "YES" if value is True else "NO" if value is False else str(value)
        lines.append(f"{name}='{text.replace(QUOTE, QUOTED)}'")
    return Seed((("context.sh", "\n".join(lines) + "\n"),), CONTEXT_VOLUME)


def _yaml(data: Any) -> str:
    """Return JSON, which is YAML, in an order that does not change."""
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


def _network(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("network", config)
    if not isinstance(inner, Mapping) or inner.get("version") not in (1, 2):
        raise InvalidInput(
            "cloud_init.network_config: it needs version 2 (or 1), such as {version: 2, ethernets: {...}}.",
            option="cloud_init.network_config",
        )
    return inner


def _user_data(data: Any, where: str) -> str:
    if data is None:
        return CLOUD_CONFIG + "{}\n"
    if isinstance(data, Mapping):
        return CLOUD_CONFIG + _yaml(data)
    if not isinstance(data, str) or not data.startswith(HEADERS):
        raise InvalidInput(
            f"{where}: a text must begin with #cloud-config, #! or another header that cloud-init knows.", option=where
        )
    return data


def read_digest(path: str) -> str | None:
    """Return the digest of the content of the seed at ``path``; None where it does not exist or was not built by us."""
    try:
        with Path(path).open("rb") as file:
            file.seek(DESCRIPTOR)
            descriptor = file.read(SECTOR)
    except FileNotFoundError:
        return None
    label = descriptor[APPLICATION_FIELD].decode("ascii", "replace").strip()
    if descriptor[1:6] != b"CD001" or not label.startswith(APPLICATION):
        return None
    return "sha256:" + label.removeprefix(APPLICATION).lower()


def build_seed(seed: Seed, path: str, runner: Runner) -> None:
    """Write the ISO under ``path``, which has the old seed or the new one at every instant and is readable by its owner only."""
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=".seed-", dir=target.parent) as work:
        files, made = Path(work, "files"), Path(work, "seed.iso")
        files.mkdir()
        for name, text in seed.files:
            (files / name).write_text(text, encoding="utf-8")
        application = APPLICATION + seed.digest.removeprefix("sha256:").upper()
        runner.run(
            [
                "xorriso", "-as", "mkisofs", "-quiet", "-o", str(made), "-V", seed.volume, "-A", application, "-J", "-r",
                f"--modification-date={DATE}", "--set_all_file_dates", DATE, str(files),
            ]
        )  # fmt: skip
        made.chmod(0o600)
        fsync(made)
        made.replace(target)
        fsync(target.parent)
