"""A failed stage is opened, edited and continued; the record equals that of a complete run."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toys
from in_process import mlnb_with_kernels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")

CELLS = [
    ("markdown", "# Work\n> It works."),
    ("code", "#| default_exp stages.work"),
    ("code", 'run: str = "draft"\nstart: int = 3  # a number [0..100]\nplace: str = ""  # where', ["parameters"]),
    ("code", "# a remark"),
    ("markdown", "## Open"),
    ("code", '#| stage\nfrom mlnb import open_stage\nstage = open_stage("work", run, writes={"sum": "a number"})'),
    ("markdown", "### Slow part"),
    (
        "code",
        "#| stage\nimport random\nrandom.seed(start)\nopen(place + '/ran', 'a').write('x')\n"
        "(stage.scratch / 'note').write_text('kept')\nstage.log(first=1)\nnumber = random.random()\nnumber",
    ),
    ("markdown", "### Fragile part"),
    ("code", "#| stage\nassert (stage.scratch / 'note').exists()\nnumber += random.random() / zero"),
    ("code", '#| stage\nstage.save("sum", number)\nstage.log(second=2)'),
    ("code", "#| stage\nstage.close()"),
]


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A project whose stage has failed; the parameter is the seconds between snapshots, 0 unless a test sets it."""
    monkeypatch.setenv("MLNB_SNAPSHOT_MINUTES", "5")
    monkeypatch.setenv("MLNB_SNAPSHOT_SECONDS", getattr(request, "param", "0"))
    root = toys.project(tmp_path / "project", {"10_work": toys.notebook(CELLS)})
    output = mlnb_with_kernels(root, "run", "--no-report", "-p", "place", str(root), code=3)
    assert "Fragile part) failed: NameError" in output and "mlnb debug" in output
    yield root
    mlnb_with_kernels(root, "kernels", "stop", "--now")


def run(root: Path, *more: str) -> str:
    return mlnb_with_kernels(root, "run", "--no-report", "-p", "place", str(root), *more)


def shown(root: Path) -> list[Any]:
    """Return what the last run's executed notebook shows."""
    record = toys.record(root)
    path = root / "runs" / record["id"] / record["stages"]["work"]["notebook"]
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    results = [[cell["execution_count"], cell["outputs"], "".join(cell["source"])] for cell in cells]
    return [cell for cell in results if "run = " not in cell[2]]


def debug(root: Path, typed: str) -> str:
    """Return what `mlnb debug` prints when lines are typed there."""
    command = [sys.executable, "-m", "mlnb.cli.main", "debug"]
    return subprocess.run(command, input=typed, cwd=root, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_failed_stage_is_opened_edited_and_continued(failed: Path) -> None:
    output = debug(failed, "number < 1\nzero = 2\nnumber + zero > 2\n")
    assert "before cell 10, with all variables" in output and output.count("True") == 2
    toys.edit(failed, "10_work", "/ zero", "/ 2")
    toys.edit(failed, "10_work", "# Work", "# Work\nMore prose, which is no reason to start at the top.")
    wanted = ["-p", "place", str(failed)]
    assert "continues at cell 10 (Fragile part)" in mlnb_with_kernels(failed, "plan", *wanted)
    assert "continues at cell 10 (Fragile part)" in run(failed)
    went_on, seen = toys.record(failed), shown(failed)
    assert (failed / "ran").read_text() == "x"
    assert "snapshot  " not in mlnb_with_kernels(failed, "kernels", "status")
    assert not list((failed / ".mlnb" / "scratch").iterdir())
    run(failed, "--clean")
    clean = toys.record(failed)
    assert (failed / "ran").read_text() == "xx"
    for what in ("key", "outputs", "metrics"):
        assert went_on["stages"]["work"][what] == clean["stages"]["work"][what]
    assert went_on["id"] != clean["id"] and seen == shown(failed)


def test_an_edit_above_or_another_value_starts_at_the_top(failed: Path) -> None:
    toys.edit(failed, "10_work", "/ zero", "/ 2")
    assert "continues at" not in mlnb_with_kernels(failed, "plan", "-p", "place", str(failed), "-p", "start", "4")
    toys.edit(failed, "10_work", "number = random.random()", "number = 1 + random.random()")
    assert "continues at cell 8 (Slow part)" in run(failed)
    assert (failed / "ran").read_text() == "xx"


@pytest.mark.parametrize("failed", ["60"], indirect=True)
def test_cells_after_the_last_snapshot_run_again_and_without_one_nothing_is_opened(failed: Path) -> None:
    assert mlnb_with_kernels(failed, "kernels", "status").count("snapshot  ") == 1  # of the cell that opens the stage
    output = debug(failed, "number < 1\nany('random.seed(start)' in cell for cell in In[:-1])\n")
    assert "before cell 10, with all variables" in output and output.count("True") == 2
    assert (failed / "ran").read_text() == "xx"
    mlnb_with_kernels(failed, "clean")
    assert "snapshot  " not in mlnb_with_kernels(failed, "kernels", "status")
    assert "has no snapshot" in mlnb_with_kernels(failed, "debug", code=2)
    assert "has no stage 'wrok'" in mlnb_with_kernels(failed, "debug", "latest", "wrok", code=2)
    toys.edit(failed, "10_work", "/ zero", "/ 2")
    assert "continues at" not in run(failed) and (failed / "ran").read_text() == "xxx"
