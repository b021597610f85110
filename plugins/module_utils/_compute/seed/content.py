# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a seed: the files that the options of a domain describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..content.context import context_text
from ..content.network_config import network_text
from ..content.ssh_keys import check_keys
from ..content.texts import check_texts
from ..content.user_data import user_data_text
from ..content.yaml_text import yaml_text
from ..model.request import CloudInitOptions
from .file import CONTEXT_VOLUME, META_DATA, Seed


def make_seed(options: CloudInitOptions, name: str, uuid: str) -> Seed:
    """Return the seed that the ``cloud_init`` options describe.

    The instance-id is the domain's UUID: a new seed for the same domain does not make cloud-init run again.
    """
    check_texts(options.meta_data, META_DATA)
    meta = {"instance-id": uuid, "local-hostname": options.hostname or name, **(options.meta_data or {})}
    if options.ssh_authorized_keys:
        check_keys(options.ssh_authorized_keys, "cloud_init.ssh_authorized_keys")
        meta["public-keys"] = list(options.ssh_authorized_keys)
    files = {"meta-data": yaml_text(meta, META_DATA), "user-data": user_data_text(options.user_data, "cloud_init.user_data")}
    if options.network_config:
        files["network-config"] = network_text(options.network_config)
    if options.vendor_data:
        files["vendor-data"] = user_data_text(options.vendor_data, "cloud_init.vendor_data")
    return Seed(tuple(sorted(files.items())))


def make_context(options: Mapping[str, Any]) -> Seed:
    """Return OpenNebula's context disk: ``context.sh`` with each option as a shell variable, for guests that read it."""
    return Seed((("context.sh", context_text(options)),), CONTEXT_VOLUME)
