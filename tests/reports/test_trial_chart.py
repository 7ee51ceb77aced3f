"""Trials as a chart: pruned ones are never the best, and any hyperparameters are shown as words."""

import pytest

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.trial_chart import hyperparameters, trial_chart
from mlnb.tracking.artifact_views import Trial

CONTRACT = ProblemContract(task="regression", target="mpg", metric="rmse", direction="minimize")


@pytest.mark.parametrize("contract, best", [(None, [0.5, 0.5, 0.7]), (CONTRACT, [0.5, 0.5, 0.4])])
def test_the_best_so_far_is_that_of_complete_trials(contract, best):
    last = 0.4 if contract else 0.7
    trials = [
        Trial(number=2, score=last),
        Trial(number=0, score=0.5),
        Trial(number=1, score=9.0 - last, state="pruned"),
    ]
    chart = trial_chart(trials, contract)
    line, whole, hollow = chart.series
    assert list(line.values) == best and whole.values[1] is None and hollow.values[1] == 9.0 - last
    assert chart.notes[1].endswith("; pruned") and len(chart.series) == 3
    assert len(trial_chart(trials[:2], contract).series) == 2


def test_hyperparameters_are_words():
    assert hyperparameters('{"alpha": 0.123456, "scaled": true}') == "alpha 0.1235, scaled True"
    assert hyperparameters("torn {") == "torn {" and hyperparameters("[1]") == "[1]" and hyperparameters(None) == ""
