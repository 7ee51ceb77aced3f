"""Stages from data to evaluation with protected columns."""

import numpy as np
import pandas as pd
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.gates import Gate

SMALL = ["-p", "tune.families", '["linear"]', "-p", "tune.trials", "1", "-p", "evaluate.resamples", "50"]
SMALL += ["-p", "evaluate.repeats", "1", "-p", "explore.most", "2", "-p", "split.folds", "2", "--no-report"]
NAMES = ["a", "b", "c", "d", "e", "outcome"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return toys.new_project(tmp_path_factory.mktemp("columns"))


def people(names):
    """Return a table of people with two groups, its columns named as stated."""
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 3)).round(3)
    group, age = np.array(["f", "m"])[random.integers(0, 2, 300)], random.integers(18, 80, 300)
    happened = random.random(300) < 1 / (1 + np.exp(-2 * values[:, 0] - 0.5 * (group == "m")))
    columns = [*values.T, group, age, np.where(happened, "yes", "no")]
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def evaluated(root, names, *arguments):
    """Run the stages up to evaluate; return the metrics and the gate."""
    people(names).to_csv(root / "people.csv", index=False)
    about = ["--data", "people.csv", "--target", names[-1], "--upto", "evaluate"]
    mlnb_in_process(root, "run", *about, *SMALL, *arguments)
    run = runs.open_run(Project.find(root))
    return run.load("metrics", Metrics), run.load("gate", Gate)


def test_protected_columns_are_compared_and_are_in_the_gate(project):
    limits = ["-p", "problem.protected", '["d", "e"]', "-p", "problem.fairness_limit", "0.01"]
    metrics, gate = evaluated(project, NAMES, *limits)
    assert [one.column for one in metrics.fairness] == ["d", "e"]
    assert {one.group for one in metrics.fairness[0].groups} == {"f", "m"}
    lines = [line for line in gate.lines if "groups" in line.check or "equalized_odds" in line.check]
    assert len(lines) == 2, gate.lines
