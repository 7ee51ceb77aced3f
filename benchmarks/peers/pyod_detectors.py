"""Anomaly scores of pyod's detectors with default settings; run by a Python in which pyod is installed.

    PYTHON pyod_detectors.py < request.json > response.json

A request has a list of splits with training rows and test rows (lists of numbers); a response has for each detector one
list of scores of the test rows a split.
"""

import json
import sys
import warnings

import numpy as np


def main() -> None:
    """Read the request, and write the scores of every detector."""
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF

    warnings.simplefilter("ignore")
    out: dict[str, list[list[float]]] = {}
    for split in json.load(sys.stdin):
        train, test = np.array(split["train"]), np.array(split["test"])
        for kind in (ECOD, COPOD, IForest, LOF, KNN, HBOS):
            settings = {"random_state": 0} if kind is IForest else {}
            scores = kind(**settings).fit(train).decision_function(test)
            out.setdefault(kind.__name__, []).append(np.asarray(scores, dtype=float).tolist())
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
