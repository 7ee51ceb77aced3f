"""The example of a metric that `mlnb new --with-metric` writes."""

FILE = "nbs/metrics/detection_profit.ipynb"

# Cells of the notebook: "%% md" or "%% code", and the source.
CELLS = '''\
%% md
# Detection profit

> A metric of this project: what each row yields when the decided class is acted upon.

%% md
Every run of a binary problem reports it with its interval. `mlnb run -p problem.metric detection_profit` decides by
it: the search optimizes it, the threshold is chosen for it, and gate, monitoring and retraining use it. Change `gain`,
`name` and the range.

%% code
#| default_exp metrics.detection_profit

%% code
#| export
import numpy as np

from mlnb.methods.metrics.metric_interface import CustomMetric

%% md
## The metric

Each positive row that is found yields 5, each false alarm costs 1, and the other rows yield nothing.

%% code
#| export
class DetectionProfit(CustomMetric):
    """Mean profit of a row."""

    name = "detection_profit"
    tasks = ("binary",)
    direction = "maximize"
    needs = "label"
    low, high = -1.0, 5.0

    def score(self, y, prediction, weights) -> float:
        """Return the mean profit; `y` and `prediction` are 1 for the positive class."""
        gain = np.where(prediction == 1, np.where(y == 1, 5.0, -1.0), 0.0)
        return float(np.average(gain, weights=weights))

%% code
truth, predicted = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
assert DetectionProfit().score(truth, predicted, np.ones(4)) == (5.0 - 1.0) / 4

%% md
## The checks
A finite score for any rows, the same score for the same rows, the direction, one constant answer, and weights.

%% code
from mlnb.testing import check_metric

check_metric(DetectionProfit)
'''
