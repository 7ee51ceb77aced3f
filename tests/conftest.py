"""What several rooms' tests share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def example() -> ModuleType:
    """tests/example_run.py: `make_project` and `make_run`, for those who read runs."""
    spec = importlib.util.spec_from_file_location("example_run", Path(__file__).parent / "example_run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
