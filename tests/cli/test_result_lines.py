"""The result of a run in the terminal: the same lines in `mlnb run` and `mlnb show`."""

import re
from pathlib import Path

from mlnb.cli.result_lines import WIDTH, result_lines


def test_ensembles_comparison_and_coverage_are_named(example, tmp_path):
    members = [
        {"family": "lightgbm", "weight": 0.5},
        {"family": "linear", "weight": 0.3},
        {"family": "lightgbm", "weight": 0.2},
    ]
    estimate = {"value": 0.79, "low": 0.7, "high": 0.86}
    interval = {"nominal": 0.9, "coverage": estimate, "width": 1.0, "score": 1.0, "passed": False}
    difference = {"value": -0.01, "low": -0.04, "high": 0.02}
    linear = {"scores": {"roc_auc": 0.99}, "difference": difference}
    run = example.make_run(
        example.make_project(tmp_path / "project"),
        change={
            "best": lambda best: {**best, "family": "ensemble", "params": {}, "members": members},
            "metrics": lambda metrics: {
                **metrics,
                "interval": interval,
                "references": {**metrics["references"], "linear": linear},
            },
        },
    )  # fmt: skip
    lines = result_lines(run, indent="  ")
    assert lines[0] == "  winner    ensemble (LightGBM 70 %, linear 30 %)"
    assert (
        lines[1].startswith("  test      roc_auc 0.")
        and "linear baseline 0.99" in lines[2]
        and "dummy baseline 0.5" in lines[2]
    )
    text = " ".join(" ".join(lines).split())
    assert "compared not clearly better than the linear baseline: worse by 0.01000 [−0.02000, 0.04000]" in text
    assert "coverage 79 % [70 %, 86 %] of true values in their interval, 90 % expected, missed" in text
    assert "gate pass roc_auc better than the dummy baseline" in text and "row verified" not in text
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(" ".join(result_lines(run)).split()) == text


def test_without_labels_accuracy_is_unknown(example, tmp_path):
    line = {
        "check": "accuracy of the alerts",
        "found": "unknown",
        "required": "labels",
        "passed": True,
        "measured": False,
    }
    run = example.make_run(
        example.make_project(tmp_path / "project"),
        change={
            "metrics": lambda metrics: {**metrics, "deciding": {**metrics["deciding"], "name": "stability"}},
            "gate": lambda gate: {**gate, "lines": [line]},
        },
    )
    text = " ".join(" ".join(result_lines(run)).split())
    assert "test accuracy unknown: no row has a label test stability 0." in text
    assert "gate unknown accuracy of the alerts" in text and "compared" not in text and "pass" not in text


def test_the_readme_shows_what_a_run_prints(example, tmp_path):
    """The numbers and the winner differ; labels, names and widths do not."""
    readme = Path(__file__).parents[2] / "README.md"
    (shown,) = (
        block for block in readme.read_text(encoding="utf-8").split("```") if block.startswith("text\n  winner")
    )
    printed = result_lines(example.make_run(example.make_project(tmp_path / "project")), indent="  ")
    lines = [line for line in shown.splitlines()[1:] if not line.startswith("  report")]
    assert labels(lines) == labels(printed) - {"profile"} and max(map(len, lines)) <= WIDTH
    assert "profile smoke: tune.trials = 4" in " ".join(" ".join(printed).split())
    first, second = (re.sub(r"[\d.]+", "0", next(line for line in text if "test" in line)) for text in (lines, printed))
    assert first == second
    for name in ("linear baseline", "dummy baseline"):
        assert name in " ".join(lines) and name in " ".join(printed)


def labels(lines):
    """Return the labels at the starts of lines, each once."""
    return {line.split()[0] for line in lines if not line.startswith("   ")}
