"""The kit as a fixture: tests import nothing from each other."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

KIT = Path(__file__).with_name("report_kit.py")


@pytest.fixture(scope="session")
def kit() -> Any:
    spec = importlib.util.spec_from_file_location("report_kit", KIT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
