# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options by which modules name a marketplace."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments edge.cloud.marketplace (its catalogue) and edge.cloud.marketplace.credentials (private servers)."""

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

    CREDENTIALS = r"""
options:
  credentials:
    description:
      - What the server of C(source), or else of O(marketplace.url), asks for. They are sent to that server (scheme, host and
        port) and to no other, also after a redirect, and no result, error, log or manifest shows them.
      - In a loop the item itself is shown by Ansible; give O(credentials.file) there, or set C(no_log).
    type: dict
    suboptions:
      username:
        description:
          - The user for Basic authentication.
        type: str
      password:
        description:
          - The password for Basic authentication.
        type: str
      token:
        description:
          - The token for bearer authentication.
        type: str
      headers:
        description:
          - Headers that are sent with each request, such as V(X-Api-Key) with its value.
        type: dict
      access_key:
        description:
          - The access key of an S3-compatible server. Requests are signed (AWS Signature Version 4), the keys are not sent. The URL
            is that of the object, C(https://SERVER/BUCKET/KEY) or C(https://BUCKET.SERVER/KEY).
        type: str
      secret_key:
        description:
          - The secret of O(credentials.access_key).
        type: str
      session_token:
        description:
          - The session token of a temporary O(credentials.access_key).
        type: str
      region:
        description:
          - The region of the S3-compatible server, V(us-east-1) by default.
        type: str
      file:
        description:
          - The absolute path of a file on the host, a JSON object with the options above. What is given here replaces what it has.
        type: path
"""
