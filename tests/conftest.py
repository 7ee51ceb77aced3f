"""What tests of several packages share."""

import os

import pytest
from example_run import Example
from shared import shared_folder

# Each small project of a test starts a warm parent, which must not stay long after the test.
os.environ.setdefault("MLNB_KERNELS_IDLE", "5")
os.environ.setdefault("MLNB_SNAPSHOT_MINUTES", "0.2")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Makes projects and runs, for those who read runs."""
    return Example(shared_folder(tmp_path_factory) / "example")
