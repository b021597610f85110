# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud-init's network configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._errors import InvalidInput
from .addresses import check_addresses
from .texts import check_texts
from .yaml_text import yaml_text

OPTION = "cloud_init.network_config"


def network_text(config: Mapping[str, Any]) -> str:
    """Return the network configuration as YAML, without the key ``network`` that it may be given in."""
    inner = config.get("network", config)
    version = inner.get("version") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or isinstance(version, bool) or version not in (1, 2):
        raise InvalidInput(f"{OPTION}: it needs version 2 (or 1), such as {{version: 2, ethernets: {{...}}}}.", option=OPTION)
    check_texts(inner, OPTION)
    check_addresses(inner, OPTION)
    return yaml_text({**inner, "version": int(version)}, OPTION)
