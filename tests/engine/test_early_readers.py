"""Stages that start while the stage they read from still runs: they are finished when it is, and not when it fails."""

from pathlib import Path

import toys
from in_process import mlnb_in_process, mlnb_with_kernels


def early(root: Path, after: str) -> Path:
    """Return a project whose stage `a` saves `x`, then waits for `b`, which reads it, and then does what is given."""
    wait = (
        'import time\nfrom pathlib import Path\nfor _ in range(400):\n    if Path("b.txt").exists():\n        break\n'
        "    time.sleep(0.05)\n"
    )
    return toys.project(
        root,
        {
            "10_a": toys.stage(
                "a",
                f'stage.save("x", 1)\nimport os\nos.chdir(stage.project.root)\n{wait}{after}\nstage.save("z", 2)',
                writes={"x": "a number", "z": "another one"},
            ),
            "20_b": toys.stage(
                "b",
                'stage.save("y", stage.load("x"))\n(stage.project.root / "b.txt").write_text("done")',
                reads=["x"],
                writes={"y": "a number"},
            ),
            "30_c": toys.stage(
                "c", 'stage.save("w", stage.load("y"))', reads=["y"], writes={"w": "a number"}
            ),
        },
        settings="workers = 2",
    )  # fmt: skip


def test_a_reader_of_a_stage_that_fails_is_not_finished(toy_root: Path) -> None:
    root = early(toy_root, 'raise ValueError("no metrics")')
    text = mlnb_with_kernels(root, "run", code=3)
    assert "no metrics" in text and (root / "b.txt").exists()
    assert toys.states(root) == {"a": "failed", "b": "waiting", "c": "waiting"}


def test_a_reader_is_finished_after_the_stage_that_it_reads_from(toy_root: Path) -> None:
    root = early(toy_root, "")
    text = mlnb_with_kernels(root, "run")
    assert toys.states(root) == {"a": "finished", "b": "finished", "c": "finished"}
    assert text.index("✓ a") < text.index("✓ b") < text.index("✓ c")


def test_in_one_process_a_reader_of_a_stage_that_fails_is_not_finished(toy_root: Path) -> None:
    root = early(toy_root, 'raise ValueError("no metrics")')
    (root / "b.txt").touch()
    mlnb_in_process(root, "run", "--no-report", code=3)
    assert toys.states(root)["a"] == "failed" and toys.states(root)["b"] == "waiting"
