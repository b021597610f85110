# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options by which modules name a marketplace."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment edge.cloud.marketplace: how its catalogue is fetched and cached."""

    DOCUMENTATION = r"""
options:
  cache_dir:
    description:
      - The folder where catalogues are cached, with what is needed to ask only for changes.
    type: path
    default: /var/cache/edge/marketplaces
  max_age:
    description:
      - A catalogue that was fetched less than this many seconds ago is used without a request, so also without a network.
    type: int
    default: 0
  proxy:
    description:
      - The URL of an HTTP proxy, V(environment) for C(http_proxy), C(https_proxy) and C(no_proxy) of the host, or V(none).
      - TLS goes through the proxy to the server and is always verified.
    type: str
    default: environment
"""
