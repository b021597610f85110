# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the project as modules, so that a test can call their functions."""

from __future__ import annotations

import re
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any


def loaded(program: Path) -> Any:
    """Return a program as a module of its own, whatever its name ends with; no compiled file is left beside it."""
    name = re.sub(r"\W", "_", program.stem)
    loader = SourceFileLoader(f"program_{name}", str(program))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses look for their module by its name while they are made
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module
