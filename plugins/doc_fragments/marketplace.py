# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options by which modules name a marketplace."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment edge.cloud.marketplace: how its catalogue is reached and kept."""

    DOCUMENTATION = r"""
options:
  cache_dir:
    description:
      - The folder where catalogues are kept, with what is needed to ask only for changes.
    type: path
    default: /var/cache/edge/marketplaces
  max_age:
    description:
      - A catalogue that was asked for less than this many seconds ago is used without asking anybody, so also without a network.
    type: int
    default: 0
  proxy:
    description:
      - The URL of an HTTP proxy, V(environment) for what C(http_proxy), C(https_proxy) and C(no_proxy) say on the host, or V(none).
      - TLS is spoken with the server through the proxy and verified always.
    type: str
    default: environment
"""
