# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a real module in this process: real AnsibleModule, real arguments, its JSON result back."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

PREFIX = "ansible_collections.edge.cloud.plugins.modules."


def run_module(capsys: pytest.CaptureFixture[str], module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """Return what the module printed, whether it ended well or not; ``failed`` tells."""
    capsys.readouterr()
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        import_module(PREFIX + module).main()
    printed = capsys.readouterr().out
    result: dict[str, Any] = json.loads(printed)
    result.setdefault("failed", False)
    return result
