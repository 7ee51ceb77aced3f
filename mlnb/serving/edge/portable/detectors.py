"""How strange an encoded row is, by Python alone; `scorer.py` reads this file."""

import math
from bisect import bisect_left, bisect_right
from typing import Any

STEEPEST, TINY = 50.0, 1e-10
Numbers = list[float]


def predict(member: dict[str, Any], x: Numbers) -> Numbers:
    """Return -log10 of the share of training rows that are as strange or stranger; missing numbers are NaN."""
    native = member["numbers"]
    parts = zip(x, native["centre"], native["scale"], strict=True)
    z = [0.0 if v != v else min(max((v - middle) / size, -STEEPEST), STEEPEST) for v, middle, size in parts]
    found = [(score, native["scorers"][name]) for name, score in SCORERS.items() if name in native["scorers"]]
    each = [surprise(score(z, scorer["fitted"], native), scorer["tail"]) for score, scorer in found]
    return [surprise(mean(each), native["tail"])]


def surprise(score: float, tail: dict[str, Numbers]) -> float:
    """Return how rare a score is; beyond the highest one seen it grows with the logarithm of the distance."""
    x, y = tail["x"], tail["y"]
    if len(x) == 1:
        return float(score > x[0])
    place = min(max(bisect_right(x, score) - 1, 0), len(x) - 2)
    share = min(max((score - x[place]) / (x[place + 1] - x[place]), 0.0), 1.0)
    beyond = max(score - x[-1], 0.0) / max(x[-1] - x[len(x) // 2], TINY)
    return y[place] * (1.0 - share) + y[place + 1] * share + math.log10(1.0 + beyond)


def isolation_forest(z: Numbers, fitted: dict[str, Any], native: dict[str, Any]) -> float:
    """Return 2 to the minus mean path length, in units of the expected one."""
    lengths = []
    for feature, threshold, left, right, length in fitted["trees"]:
        node = 0
        while node >= 0:
            leaf, node = node, (left if z[feature[node]] <= threshold[node] else right)[node]
        lengths.append(length[leaf])
    return float(2.0 ** (-sum_of(lengths) / (len(lengths) * fitted["norm"])))


def neighbours(z: Numbers, fitted: dict[str, Any], native: dict[str, Any]) -> list[tuple[float, int]]:
    """Return distances to the nearest of the training rows that were kept, and which those are."""
    pairs = []
    for number, row in enumerate(native["rows"]):
        pairs.append((sum_of((a - b) * (a - b) for a, b in zip(z, row, strict=True)), number))
    return [(math.sqrt(square), number) for square, number in sorted(pairs)[: fitted["k"]]]


def nearest(z: Numbers, fitted: dict[str, Any], native: dict[str, Any]) -> float:
    """Return the mean distance to the nearest rows."""
    return mean([far for far, _ in neighbours(z, fitted, native)])


def density(z: Numbers, fitted: dict[str, Any], native: dict[str, Any]) -> float:
    """Return how much denser the nearest rows lie than this one."""
    found = neighbours(z, fitted, native)
    dense = mean([fitted["density"][near] for _, near in found])
    return dense * (mean([max(far, fitted["reach"][near]) for far, near in found]) + TINY)


def covariance(z: Numbers, fitted: dict[str, Any], native: dict[str, Any]) -> float:
    """Return the distance from the middle in units of how the rows vary together."""
    out = [0.0] * len(z)
    for v, centre, line in zip(z, fitted["centre"], fitted["whitening"], strict=True):
        out = [total + (v - centre) * weight for total, weight in zip(out, line, strict=True)]
    return math.sqrt(sum_of(one * one for one in out))


def tails(z: Numbers, fitted: dict[str, Any], native: dict[str, Any]) -> float:
    """Return how far out in its column's tails each number lies, added up."""
    least, each = 1.0 / (fitted["count"] + 1.0), []
    for v, column in zip(z, fitted["columns"], strict=True):
        low = [0.0, *column["low"]][bisect_right(column["x"], v)]
        high = [*column["high"], 0.0][bisect_left(column["x"], v)]
        each.append(-math.log10(min(1.0, 2.0 * max(min(low, high), least))))
    return sum_of(each)


def mean(values: Numbers) -> float:
    """Return the mean, added in order."""
    return sum_of(values) / len(values)


def sum_of(terms: Any) -> float:
    """Return the terms added one after the other: Python's own sum rounds less from 3.12 on."""
    total = 0.0
    for term in terms:
        total += term
    return total


SCORERS = {function.__name__: function for function in (isolation_forest, nearest, density, covariance, tails)}
