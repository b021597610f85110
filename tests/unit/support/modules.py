# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a real module in this process: real AnsibleModule, real arguments, its JSON result back."""

from __future__ import annotations

import gc
import json
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

PREFIX = "ansible_collections.edge.cloud.plugins.modules."


class Result(dict[str, Any]):
    """What a module printed; a key that is not there fails the test and shows all of it."""

    def __missing__(self, key: str) -> Any:
        raise AssertionError(f"The module's result has no {key!r}: {dict(self)}")


def run_module(capsys: pytest.CaptureFixture[str], module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """Return what the module printed, whether it ended well or not; ``failed`` tells."""
    capsys.readouterr()
    if module.startswith(("domain", "nat_network")):
        gc.collect()  # the test driver forgets its domains with the last connection, and a traceback of before may hold one
    getattr(warnings, "_global_warnings", {}).clear()  # those of modules that ran in this process before
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
    # Tests of inventory plugins make this process a controller, whose warnings go to the screen instead of the result.
    with patch.object(_internal, "is_controller", False, create=True), patch_module_args(arguments), pytest.raises(SystemExit):
        import_module(PREFIX + module).main()
    printed = capsys.readouterr().out
    result = Result(json.loads(printed))
    result.setdefault("failed", False)
    return result
