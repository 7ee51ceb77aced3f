"""Access to a held-out artifact is counted once per run and by row, durably, also by concurrent processes."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toys
from in_process import mlnb_with_kernels

from mlnb.engine.formats import save_object
from mlnb.engine.pipeline_stage import PipelineStage
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunRecord, StageRecord
from mlnb.engine.stage_files import StageInputs, StageReport, inputs_path, read_record, report_path, write_record
from mlnb.engine.store import Store
from mlnb.engine.test_set_access import (
    Access,
    access_path,
    count_accesses,
    count_opened,
    interactive_reader,
    is_held_out,
    lost_accesses,
    read_accesses,
    record_access,
    record_rows,
    recorded_accesses,
    rows_path,
)

LOOKER = """
import sys
from pathlib import Path
from mlnb.engine.test_set_access import Access, record_access
for number in range(50):
    record_access(Path(sys.argv[1]), Access("d" * 64, f"{sys.argv[2]}-{number}"))
"""


def test_a_run_counts_once(tmp_path: Path) -> None:
    assert count_accesses(tmp_path, "ab") == 0
    counts = []
    for reader in ("run-1", "run-1", "run-2"):
        record_access(tmp_path, Access("ab", reader))
        counts.append(count_accesses(tmp_path, "ab"))
    assert counts == [1, 1, 2]
    assert count_accesses(tmp_path, "cd") == 0
    assert interactive_reader() != interactive_reader()
    assert is_held_out("Held-out rows") and not is_held_out("rows") and not is_held_out("")


def test_concurrent_processes_lose_no_access(tmp_path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", LOOKER, str(tmp_path), str(who)]) for who in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert count_accesses(tmp_path, "d" * 64) == 150


class Evaluations:
    """Test sets of one table that are opened one after the other, as by runs with different seeds."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.table = pd.DataFrame({"id": range(3000), "x": np.random.default_rng(0).normal(size=3000)})
        self.digests: dict[str, str] = {}

    def split(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return test and training rows, each in another order."""
        order = np.random.default_rng(seed).permutation(len(self.table))
        return self.table.iloc[order[:600]].reset_index(drop=True), self.table.iloc[order[600:]]

    def count(self, table: pd.DataFrame, own: Access, recorded: Iterable[Access] = ()) -> int:
        """Return how many rows were opened before."""
        return count_opened(self.store, [table], own, recorded)[0].rows

    def open(self, seed: int, run: str) -> tuple[int, int]:
        """Open the test set of a seed; return the test rows and the training rows that were opened before."""
        test, training = self.split(seed)
        own = Access(save_object(self.store, test).digest, run, f"key of {run}")
        record_access(self.store.root, own)
        record_rows(self.store.root, own.digest, test)
        self.digests[run] = own.digest
        return self.count(test, own), self.count(training[["x", "id"]], own)


@pytest.fixture
def evaluations(tmp_path: Path) -> Evaluations:
    return Evaluations(tmp_path)


def test_rows_of_three_seeds_on_the_same_data_are_counted(evaluations: Evaluations) -> None:
    ids = [set(evaluations.split(seed)[0]["id"]) for seed in range(3)]
    assert evaluations.open(0, "run-0") == (0, 0)
    both = len(ids[1] & ids[0])
    assert evaluations.open(1, "run-1") == (both, 600 - both) and 80 < both < 160
    seen = ids[0] | ids[1]
    assert evaluations.open(2, "run-2") == (len(ids[2] & seen), len(seen - ids[2]))
    assert evaluations.open(2, "run-3") == (600, len(seen - ids[2]))  # the same test set, for another evaluation


def test_the_same_evaluation_that_is_executed_again_is_no_other_one(evaluations: Evaluations) -> None:
    evaluations.open(0, "run-0")
    test, digest = evaluations.split(0)[0], evaluations.digests["run-0"]
    assert evaluations.count(test, Access(digest, "run-9", "key of run-0")) == 0
    assert evaluations.count(test, Access(digest, "run-9", "another key")) == 600
    assert evaluations.count(test, Access(digest, "interactive-1")) == 600


def test_a_deleted_counter_is_noticed_and_its_rows_still_count(evaluations: Evaluations) -> None:
    evaluations.open(0, "run-0")
    digest, root = evaluations.digests["run-0"], evaluations.store.root
    stage = StageRecord(key="key of run-0", held_out={"test": digest})
    record = RunRecord(id="run-0", pid=1, pid_started=None, started="", pipeline="train", stages={"evaluate": stage})
    recorded = recorded_accesses([record])
    assert recorded == {Access(digest, "run-0", "key of run-0")} == set(read_accesses(root))
    assert lost_accesses(root, recorded) == []
    access_path(root, digest, "run-0").unlink()
    rows_path(root, digest).unlink()
    assert lost_accesses(root, recorded) == list(recorded)
    test, own = evaluations.split(0)[0], Access(digest, "run-1", "another key")
    assert count_opened(evaluations.store, [test], own, recorded) == [(600, 0, 1)]  # read again from the store
    rows_path(root, digest).unlink()
    evaluations.store.path(digest).unlink()
    assert count_opened(evaluations.store, [test], own, recorded) == [(0, 1, 1)]


def test_a_run_that_continues_from_a_snapshot_has_an_access_too(
    evaluations: Evaluations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, tmp_path)
    output = save_object(project.store, evaluations.split(0)[0], "held-out: rows")
    for run in ("run-0", "run-1"):
        folder = project.runs / run / "stages"
        inputs = StageInputs(attempt=run, key=f"key of {run}", parameters={}, inputs={"test": output}, scratch="")
        write_record(inputs_path(folder, "evaluate"), inputs)
    monkeypatch.setenv("MLNB_ATTEMPT", "run-0")
    monkeypatch.setattr("mlnb.engine.pipeline_stage.on_cell_error", lambda call: None)
    inputs = read_record(StageInputs, inputs_path(project.runs / "run-0" / "stages", "evaluate"))
    assert inputs is not None
    stage = PipelineStage(project, "evaluate", "run-0", ["test"], {}, inputs)
    stage.load("test")
    monkeypatch.setenv("MLNB_ATTEMPT", "run-1")  # as in a process that was restored from the snapshot
    monkeypatch.setenv("MLNB_RUN", "run-1")
    stage.close()
    report = read_record(StageReport, report_path(project.runs / "run-1" / "stages", "evaluate"))
    assert report is not None and report.held_out == {"test": output.digest}
    accesses = [Access(output.digest, run, f"key of {run}") for run in ("run-0", "run-1")]
    assert read_accesses(project.store.root) == accesses


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose second stage opens which the first has held out."""
    return toys.project(
        tmp_path_factory.mktemp("held-out"),
        {
            "10_split": toys.stage(
                "split",
                'stage.save("test", [1, 2, 3])\nstage.save("rest", size)',
                writes={"test": "held-out: three numbers", "rest": "a number"},
                parameters="size: int = 1  # any number",
            ),
            "20_open": toys.stage(
                "open",
                'stage.load("rest")\nassert not stage.test_set_accesses\nstage.load("test")\nstage.load("test")\n'
                'stage.log(accesses=stage.test_set_accesses["test"])\nstage.save("sum", word)',
                reads=["test", "rest"],
                writes={"sum": "a word"},
                parameters='word: str = "a"  # any word',
            ),
        },
    )


def test_runs_that_load_the_same_rows_are_counted_and_reuse_is_no_access(root: Path) -> None:
    def accesses() -> float:
        return float(toys.record(root)["stages"]["open"]["metrics"]["accesses"])

    mlnb_with_kernels(root, "run", "--no-report")
    assert accesses() == 1
    mlnb_with_kernels(root, "run", "--no-report", "-p", "word", "b")
    assert accesses() == 2
    mlnb_with_kernels(root, "run", "--no-report", "-p", "word", "b")  # nothing to do: no access
    mlnb_with_kernels(root, "clean", "--runs", "1")
    mlnb_with_kernels(root, "run", "--no-report", "-p", "size", "2")  # other training data, the same test rows
    held_out = toys.record(root)["stages"]["open"]["held_out"]
    assert held_out == {"test": toys.record(root)["stages"]["split"]["outputs"]["test"]["digest"]}
    assert accesses() == 3  # an access is not forgotten when its run is deleted
