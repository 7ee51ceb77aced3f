"""Access to a held-out artifact is counted once per run, durably, also by concurrent processes."""

import subprocess
import sys
from pathlib import Path

import pytest
import toys

from mlnb.engine.test_set_access import count_accesses, interactive_reader, is_held_out, record_access

LOOKER = """
import sys
from pathlib import Path
from mlnb.engine.test_set_access import record_access
for number in range(50):
    record_access(Path(sys.argv[1]), "d" * 64, f"{sys.argv[2]}-{number}")
"""


def test_a_run_counts_once(tmp_path: Path) -> None:
    assert count_accesses(tmp_path, "ab") == 0
    assert [record_access(tmp_path, "ab", reader) for reader in ("run-1", "run-1", "run-2")] == [1, 1, 2]
    assert count_accesses(tmp_path, "cd") == 0
    assert interactive_reader() != interactive_reader()
    assert is_held_out("Held-out rows") and not is_held_out("rows") and not is_held_out("")


def test_concurrent_processes_lose_no_access(tmp_path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", LOOKER, str(tmp_path), str(who)]) for who in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert count_accesses(tmp_path, "d" * 64) == 150


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

    toys.mlnb(root, "run", "--no-report")
    assert accesses() == 1
    toys.mlnb(root, "run", "--no-report", "-p", "word", "b")
    assert accesses() == 2
    toys.mlnb(root, "run", "--no-report", "-p", "word", "b")  # nothing to do: no access
    toys.mlnb(root, "clean", "--runs", "1")
    toys.mlnb(root, "run", "--no-report", "-p", "size", "2")  # other training data, the same test rows
    assert accesses() == 3  # an access is not forgotten when its run is deleted
