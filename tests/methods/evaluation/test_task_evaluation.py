"""Evaluation of rankings and anomalies: baselines, alert counts and picked rows."""

import numpy as np
import pandas as pd

from mlnb.codec import replace
from mlnb.methods.contracts.evaluations import AlertCounts
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.evaluation.task_evaluation import (
    count_alerts,
    most_anomalous_rows,
    plot_alerts,
    popularity_baseline,
    whole_queries,
)
from mlnb.methods.models.fitted_models import Model
from mlnb.methods.tables.sample_weights import even_rows

ROWS = pd.DataFrame({"q": list("aaabbb"), "item": list("xyzxyz"), "x": np.arange(6.0)})
Y = np.array([2.0, 0, 1, 1, 0, 0])
LABELS = np.array([1, 0, np.nan, 0, 0, 1])
UNLABELED = ProblemContract(task="anomaly", contamination=0.2, target=None)


def test_popularity_of_logs_and_without_items() -> None:
    ranked = ProblemContract(task="ranking", query="q", item="item", at=5, target="y", cut="cut")
    logged = popularity_baseline(ranked, ROWS, Y, ROWS.assign(**{"popularity lately": 0.5}))
    assert logged["dummy"].tolist() == [0.5] * 6
    assert popularity_baseline(ProblemContract(task="ranking"), ROWS, Y, ROWS) == {}


def test_picked_rows() -> None:
    assert even_rows(6, 3).tolist() == [0, 2, 5]
    assert whole_queries(ROWS["q"], 4).tolist() == whole_queries(ROWS["q"], 1).tolist() == [0, 1, 2]


def test_alert_counts() -> None:
    assert count_alerts(LABELS, np.arange(6.0), 9.0, True).precision is None
    counted = count_alerts(Y, np.arange(6.0), 5.0, False)
    assert counted == AlertCounts(threshold=5.0, alerts=1, share=1 / 6)


def test_plots_and_rows_with_labels() -> None:
    labeled = replace(UNLABELED, target="y")
    assert len(plot_alerts(UNLABELED, Y, np.arange(6.0)).axes) == 1
    assert len(plot_alerts(labeled, LABELS, np.arange(6.0)).axes[0].containers) == 3
    baseline = Model("baseline", "ranking", 0, 1, {"constant": [0.0]})
    rows = most_anomalous_rows(labeled, ROWS, LABELS, np.arange(6.0), baseline, np.zeros((6, 1)), ["x"], 2)
    assert rows["result"]["label"].tolist() == [1, 0] and rows["row"]["q"].tolist() == ["b", "b"]
