"""The result of a run in the terminal: the same lines in `mlnb run` and `mlnb show`."""

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
        and "linear model 0.99" in lines[2]
        and "no features 0.5" in lines[2]
    )
    text = " ".join(" ".join(lines).split())
    assert "compared worse than the linear model by 0.01000 [−0.02000, 0.04000]" in text
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
