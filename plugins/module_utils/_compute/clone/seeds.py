# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seeds of a clone: those of its source with a new instance-id, name and addresses, so that cloud-init runs again in it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._errors import Refused
from ..._runner import Runner
from ..content.yaml_text import yaml_text
from ..seed.file import CONTEXT_VOLUME, META_DATA, VOLUME, Seed, read_digest
from .model import Names

NAMED = re.compile(r"^(SET_HOSTNAME|NAME)='(.*)'$", re.MULTILINE)


def read_seed(path: str, volume: str, runner: Runner, option: str = "source") -> Seed:
    """Return what is in a seed that we built; raise Refused, which begins with ``option``, for another."""
    with tempfile.TemporaryDirectory(prefix="edge-seed-") as work:
        runner.run(["xorriso", "-osirrox", "on", "-indev", path, "-extract", "/", f"{work}/files"])
        files = sorted(one for one in Path(work, "files").iterdir() if one.is_file())
        seed = Seed(tuple((one.name, one.read_bytes().decode()) for one in files), volume)
    if seed.digest != read_digest(path):
        raise Refused(
            f"{option}: {path} was not built by edge.cloud, or was changed since, so that no seed for the clone can be made of it; "
            "build it again with edge.cloud.domain first, or take it out.",
            option=option,
            path=path,
        )
    return seed


def cloned_seed(seed: Seed, names: Names, *, same_instance: bool = False) -> Seed:
    """Return the cloud-init seed of the clone with its own name and MAC addresses: another instance, unless ``same_instance``."""
    files = dict(seed.files)
    had = _meta(files["meta-data"])
    instance = had.get("instance-id", names.uuid) if same_instance else names.uuid
    meta = {**had, "instance-id": instance, "local-hostname": names.new}
    files["meta-data"] = yaml_text(meta, META_DATA)
    if "network-config" in files:
        files["network-config"] = with_macs(files["network-config"], names.macs)
    return Seed(tuple(sorted(files.items())), VOLUME)


def _meta(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except ValueError:  # YAML for what JSON cannot say
        raise Refused(
            "source: the meta_data of its seed has a number that is not finite, or a very long key, which is not copied; build it "
            "again with edge.cloud.domain without that first.",
            option="source",
        ) from None


def cloned_context(seed: Seed, names: Names) -> Seed:
    """Return OpenNebula's context disk of the clone."""

    def named(found: re.Match[str]) -> str:
        return f"{found[1]}='{names.new}'" if found[2] == names.old else found[0]

    files = tuple((name, with_macs(NAMED.sub(named, text), names.macs)) for name, text in seed.files)
    return Seed(files, CONTEXT_VOLUME)


def with_macs(text: str, macs: Mapping[str, str]) -> str:
    """Return a text with the MAC addresses of the clone instead of those of its source."""
    if not macs:
        return text
    known = re.compile("|".join(map(re.escape, macs)), re.IGNORECASE)
    return known.sub(lambda found: macs[found[0].lower()], text)
