# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the attributes that every module of this collection has."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments edge.cloud.attributes and edge.cloud.attributes.info_module."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Predicts what a run would do, from the same plan, without changing anything.
  diff_mode:
    support: full
    description: Shows the fields that the module owns, before and after.
  idempotent:
    support: full
    description: A second run with the same options changes nothing.
  platform:
    support: full
    platforms: linux
    description: Works on Linux hosts; tested on Debian 12 and 13.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Reads only, in check mode too.
  diff_mode:
    support: N/A
    description: Reads only, so there is no difference to show.
  idempotent:
    support: full
    description: Changes nothing, ever.
  platform:
    support: full
    platforms: linux
    description: Works on Linux hosts; tested on Debian 12 and 13.
"""
