"""What tests of several packages share."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before anything loads OpenMP: tests share the cores

import fast_imports  # noqa: F401
import pytest
import toys
from example_run import Example
from forked_programs import fork_programs
from hypothesis import settings
from in_process import ReusedWorkers
from shared import shared_folder

# Each small project of a test starts a warm parent, which must not stay long after the test.
os.environ.setdefault("MLNB_KERNELS_IDLE", "5")
os.environ.setdefault("MLNB_SNAPSHOT_MINUTES", "0.2")
os.environ["MLNB_CONFIG"] = str(Path(__file__).parent / "no_such_folder")  # tests do not use the user's signing key

settings.register_profile("no deadline", settings(), deadline=None)  # a busy machine makes no test fail
settings.load_profile("no deadline")

FORKS = fork_programs()

# The longest files start first, so that no worker process is busy long after the others; one process runs a file.
LONGEST = (
    "test_loop.py",
    "test_task_loops.py",
    "test_printed_commands.py",
    "engine/test_pipeline_failures.py",
    "kernels/test_fidelity.py",
    "methods/test_tuning_resume.py",
    "faults/test_secrets.py",
    "serving/packaging/test_bento_server.py",
    "test_column_names.py",
    "test_any_table.py",
    "engine/test_pipeline.py",
    "engine/test_prefetch.py",
    "serving/attacks/test_table_attacks.py",
    "serving/edge/portable/test_forecasts.py",
    "reports/test_run_report.py",
    "tracking/test_wandb_tracker.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector see what the tests make, and nothing that was there before."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each worker process begin with other files of a folder: it compiles them, the others load what it wrote."""
    report = yield
    if isinstance(collector, pytest.Directory):
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        first = len(report.result) * worker // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        report.result = [*report.result[first:], *report.result[:first]]
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and the others in the order of their paths."""
    ranks = {str(Path(__file__).parent / name): rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (ranks.get(str(item.path), len(ranks)), item.path))


def pytest_sessionfinish() -> None:
    """End the worker processes of `mlnb_with_kernels`, and those that `FORKS` has begun."""
    ReusedWorkers.end_idle()
    if FORKS is not None:
        FORKS.end()


@pytest.fixture
def new_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every program with a new interpreter, as users do."""
    if FORKS is not None:
        monkeypatch.setattr(FORKS, "active", False)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Makes projects and runs, for those who read runs."""
    return Example(shared_folder(tmp_path_factory) / "example")


@pytest.fixture(scope="session")
def reused_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of `toy_root`."""
    folder = tmp_path_factory.mktemp("toys")
    yield folder
    toys.empty(folder)
    toys.mlnb(folder, "kernels", "stop", "--now")


@pytest.fixture
def toy_root(reused_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for a small project, the same for each test of a process.

    A project in the same folder as the one before it has the same warm parent, which is expensive to start.
    """
    toys.empty(reused_folder)
    monkeypatch.setenv("MLNB_KERNELS_IDLE", "60")
    return reused_folder
