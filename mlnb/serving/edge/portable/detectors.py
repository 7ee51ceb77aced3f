"""Anomaly scores for one encoded row; `scorer.py` reads this file."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import TypedDict

MAX_Z, KNEE, TINY, LOG_FLOOR = 50.0, 2.0, 1e-10, 1e-6
Numbers = list[float]


class Tail(TypedDict):
    """Scores of training rows, and -log10 of the share of rows with at least this score."""

    x: Numbers
    y: Numbers


class Column(TypedDict):
    """One column's distinct values, and the share of rows below and above each."""

    x: Numbers
    low: Numbers
    high: Numbers


class Fitted(TypedDict):
    """A fitted scorer; which fields are there depends on its name."""

    norm: float
    trees: list[tuple[list[int], Numbers, list[int], list[int], Numbers]]
    k: int
    lrd: Numbers
    k_distance: Numbers
    centre: Numbers
    whitening: list[Numbers]
    count: int
    columns: list[Column]
    skewed_left: Numbers
    edges: list[Numbers]
    rarity: list[Numbers]


class Scorer(TypedDict):
    """A scorer with its weight, and the median and the spread of the logarithms of its scores."""

    fitted: Fitted
    weight: float
    middle: float
    spread: float


class Native(TypedDict):
    """A fitted detector: the mean of the tail scores of its scorers."""

    centre: Numbers
    scale: Numbers
    tail: Tail
    rows: list[Numbers]
    scorers: dict[str, Scorer]


class Member(TypedDict):
    """A member of the exported model."""

    numbers: Native


def predict(member: Member, x: Numbers) -> Numbers:
    """Return -log10 of the share of training rows with at least the same score; missing numbers are NaN."""
    native = member["numbers"]
    parts = zip(x, native["centre"], native["scale"], strict=True)
    z = [0.0 if v != v else compress(min(max((v - middle) / size, -MAX_Z), MAX_Z)) for v, middle, size in parts]
    scorers = [(score, native["scorers"][name]) for name, score in SCORERS.items() if name in native["scorers"]]
    raw = [score(z, scorer["fitted"], native) for score, scorer in scorers]
    combined = raw[0] if len(raw) == 1 else combine(raw, [scorer for _, scorer in scorers])
    return [tail_score(combined, native["tail"])]


def compress(z: float) -> float:
    """Return a value that grows like its fourth root beyond the knee."""
    far = z / KNEE
    root = math.sqrt(math.sqrt(1.0 + far * far))
    return z / (root * math.sqrt(root))


def combine(raw: Numbers, scorers: list[Scorer]) -> float:
    """Return the root mean square of what the scores are above their medians."""
    powers = []
    for score, scorer in zip(raw, scorers, strict=True):
        z = max((math.log(score + LOG_FLOOR) - scorer["middle"]) / scorer["spread"], 0.0)
        powers.append(scorer["weight"] * (z * z))
    return math.sqrt(sum_of(powers) / sum_of(scorer["weight"] for scorer in scorers))


def tail_score(score: float, tail: Tail) -> float:
    """Return -log10 of the share of higher scores; beyond the highest it grows with the logarithm of the distance."""
    x, y = tail["x"], tail["y"]
    if len(x) == 1:
        return float(score > x[0])
    index = min(max(bisect_right(x, score) - 1, 0), len(x) - 2)
    share = min(max((score - x[index]) / (x[index + 1] - x[index]), 0.0), 1.0)
    beyond = max(score - x[-1], 0.0) / max(x[-1] - x[len(x) // 2], TINY)
    return y[index] * (1.0 - share) + y[index + 1] * share + math.log10(1.0 + beyond)


def isolation_forest(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return 2 to the minus mean path length, in units of the expected one."""
    lengths = []
    for feature, threshold, left, right, length in fitted["trees"]:
        node = 0
        while node >= 0:
            leaf, node = node, (left if z[feature[node]] <= threshold[node] else right)[node]
        lengths.append(length[leaf])
    return float(2.0 ** (-sum_of(lengths) / (len(lengths) * fitted["norm"])))


def nearest_rows(z: Numbers, fitted: Fitted, native: Native) -> list[tuple[float, int]]:
    """Return distances to the nearest of the scorer's training rows, the first of those kept, and their indices."""
    pairs = []
    for number, row in enumerate(native["rows"][: fitted["count"]]):
        pairs.append((sum_of((a - b) * (a - b) for a, b in zip(z, row, strict=True)), number))
    return [(math.sqrt(square), number) for square, number in sorted(pairs)[: fitted["k"]]]


def knn_distance(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return the mean distance to the nearest rows."""
    return mean([distance for distance, _ in nearest_rows(z, fitted, native)])


def lof(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return the local outlier factor: the density of the nearest rows relative to that of this row."""
    nearest = nearest_rows(z, fitted, native)
    mean_density = mean([fitted["lrd"][row] for _, row in nearest])
    return mean_density * (mean([max(distance, fitted["k_distance"][row]) for distance, row in nearest]) + TINY)


def mahalanobis(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return the Mahalanobis distance from the center."""
    out = [0.0] * len(z)
    for v, centre, line in zip(z, fitted["centre"], fitted["whitening"], strict=True):
        out = [total + (v - centre) * weight for total, weight in zip(out, line, strict=True)]
    return math.sqrt(sum_of(one * one for one in out))


def ecod(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return the sum of -log10 of each number's tail probability in its column."""
    return sum_of(-math.log10(min(1.0, 2.0 * min(low, high))) for low, high in tail_shares(z, fitted))


def tail_shares(z: Numbers, fitted: Fitted) -> Iterable[tuple[float, float]]:
    """Yield for each column the shares of training rows at most and at least as large, above 0."""
    least = 1.0 / (fitted["count"] + 1.0)
    for v, column in zip(z, fitted["columns"], strict=True):
        low = [0.0, *column["low"]][bisect_right(column["x"], v)]
        high = [*column["high"], 0.0][bisect_left(column["x"], v)]
        yield max(low, least), max(high, least)


def copod(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return the sum of -log10 of each number's share in the longer tail of its column, or of the mean of both."""
    each = []
    for skewed_left, shares in zip(fitted["skewed_left"], tail_shares(z, fitted), strict=True):
        low, high = (-math.log10(share) for share in shares)
        each.append(max(low if skewed_left else high, (low + high) / 2.0))
    return sum_of(each)


def hbos(z: Numbers, fitted: Fitted, native: Native) -> float:
    """Return the sum of -log10 of the share of rows in each number's bin."""
    each = []
    for v, edges, rarity in zip(z, fitted["edges"], fitted["rarity"], strict=True):
        each.append(rarity[bisect_right(edges[:-1], v) + (v > edges[-1])])
    return sum_of(each)


def mean(values: Numbers) -> float:
    """Return the mean of values added in order."""
    return sum_of(values) / len(values)


def sum_of(terms: Iterable[float]) -> float:
    """Return the sum of terms added one after the other; Python's own sum compensates errors since 3.12."""
    total = 0.0
    for term in terms:
        total += term
    return total


SCORERS = {
    function.__name__: function for function in (isolation_forest, knn_distance, lof, mahalanobis, ecod, copod, hbos)
}
