"""A look at a sealed artifact is counted once a run, durably, and by all who look at the same time."""

import subprocess
import sys
from pathlib import Path

import pytest
import toys

from mlnb.engine.test_set_access import by_hand, count_looks, is_sealed, look

LOOKER = """
import sys
from pathlib import Path
from mlnb.engine.test_set_access import look
for number in range(50):
    look(Path(sys.argv[1]), "d" * 64, f"{sys.argv[2]}-{number}")
"""


def test_who_looks_twice_counts_once(tmp_path: Path) -> None:
    assert count_looks(tmp_path, "ab") == 0
    assert [look(tmp_path, "ab", who) for who in ("run-1", "run-1", "run-2")] == [1, 1, 2]
    assert count_looks(tmp_path, "cd") == 0
    assert by_hand() != by_hand()
    assert is_sealed({"description": "Sealed rows"}) and not is_sealed({"description": "rows"}) and not is_sealed({})


def test_processes_at_once_lose_no_look(tmp_path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", LOOKER, str(tmp_path), str(who)]) for who in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert count_looks(tmp_path, "d" * 64) == 150


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose second stage opens what the first has sealed."""
    return toys.project(
        tmp_path_factory.mktemp("sealed"),
        {
            "10_split": toys.stage(
                "split",
                'stage.save("test", [1, 2, 3])\nstage.save("rest", size)',
                writes={"test": "sealed: three numbers", "rest": "a number"},
                parameters="size: int = 1  # any number",
            ),
            "20_open": toys.stage(
                "open",
                'stage.load("rest")\nassert not stage.looks\nstage.load("test")\nstage.load("test")\n'
                'stage.log(looks=stage.looks["test"])\nstage.save("sum", word)',
                reads=["test", "rest"],
                writes={"sum": "a word"},
                parameters='word: str = "a"  # any word',
            ),
        },
    )


def test_runs_that_open_the_same_rows_are_counted_and_reuse_is_no_look(root: Path) -> None:
    def looks() -> float:
        return float(toys.record(root)["stages"]["open"]["metrics"]["looks"])

    toys.mlnb(root, "run", "--no-report")
    assert looks() == 1
    toys.mlnb(root, "run", "--no-report", "-p", "word", "b")
    assert looks() == 2
    toys.mlnb(root, "run", "--no-report", "-p", "word", "b")  # nothing to do: nobody looks
    toys.mlnb(root, "clean", "--runs", "1")
    toys.mlnb(root, "run", "--no-report", "-p", "size", "2")  # other training data, the same test rows
    assert looks() == 3  # and a look is not forgotten with the run that took it
