"""Label suspects: planted flips of two and several classes, missing predictions, outlying numbers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from mlnb.methods.audit.label_noise import find_label_suspects, noisy_labels, noisy_numbers
from mlnb.methods.contracts.problems import ProblemContract


@pytest.mark.parametrize(("classes", "rows"), [(2, 2500), (4, 2500), (2, 1200)])
@pytest.mark.parametrize("seed", range(3))
def test_planted_flips_are_found(classes: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    X = 5 * np.eye(classes)[truth] + random.normal(size=(rows, classes))
    flipped = np.sort(random.choice(rows, 250, replace=False))
    y = truth.copy()
    y[flipped] = (y[flipped] + random.integers(1, classes, 250)) % classes
    p = cross_val_predict(LogisticRegression(), X, y, method="predict_proba", cv=5)
    suspects, suggested = noisy_labels(y, p)
    hits = np.isin(suspects, flipped)
    assert np.isin(flipped, suspects).mean() >= 0.7
    assert (~hits).mean() <= 0.05 and (~hits).sum() <= 0.05 * (rows - 250)
    assert (suggested[hits] == truth[suspects[hits]]).mean() > 0.95
    contract = ProblemContract(task="binary" if classes == 2 else "multiclass", classes=tuple("abcd"[:classes]))
    numbers = np.arange(rows) + 1000  # the rows of the table before the split
    report = find_label_suspects(contract, y, p, numbers)
    assert report.count == len(suspects) and {one.row - 1000 for one in report.suspects} == set(suspects)
    assert report.findings[0].severity == "warning" and "none is dropped" in report.findings[0].action


def test_rows_without_prediction_and_absent_classes() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 400)
    p = np.full((400, 3), 1e-6)  # no row is labeled 2
    p[np.arange(400), y] = 0.95
    y[7] = 1 - y[7]
    y[9] = 1 - y[9]
    p[9] = np.nan
    assert noisy_labels(y, p)[0].tolist() == [7]


def test_outlying_numbers() -> None:
    random = np.random.default_rng(0)
    predicted = random.exponential(10, 2000)
    y = predicted * (1 + 0.1 * random.normal(size=2000))  # errors grow with the value
    largest = np.argsort(predicted)[[-1, -200]]
    y[largest] *= 4
    assert set(largest) <= set(noisy_numbers(y, predicted)[0]) and len(noisy_numbers(y, predicted)[0]) < 20
    report = find_label_suspects(ProblemContract(task="regression"), y, predicted, np.arange(2000))
    assert report.suspects[0].deviation is not None and report.suspects[0].given_probability is None
