"""What several rooms' tests share."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

# Each small project of a test starts a warm parent of its own: it must not stay long after the test.
os.environ.setdefault("MLNB_KERNELS_IDLE", "5")
os.environ.setdefault("MLNB_SNAPSHOT_MINUTES", "0.2")


@pytest.fixture(scope="session")
def example() -> ModuleType:
    """tests/example_run.py: `make_project` and `make_run`, for those who read runs."""
    spec = importlib.util.spec_from_file_location("example_run", Path(__file__).parent / "example_run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
