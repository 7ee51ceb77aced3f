"""Predictions of model families that are plain numbers, for one encoded row; `scorer.py` reads this file."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import TypedDict

MAX_VALUE, MAX_Z, SMOOTH_CLIP, PRIOR = 1e30, 50.0, 3.0, 0.5
Numbers = list[float]


class Native(TypedDict):
    """A fitted model; which fields are there depends on its family."""

    classes: Numbers  # labels that the training rows have
    constant: Numbers
    coefficients: list[Numbers]
    intercepts: Numbers
    fill: Numbers
    mean: Numbers
    scale: Numbers
    knots: tuple[list[Numbers], list[Numbers]]  # of each column: values, and heights
    bin_columns: Numbers  # of each bin of the piecewise linear encoding: its column, where it starts, and its width
    bin_starts: Numbers
    bin_widths: Numbers
    networks: list[tuple[list[list[Numbers]], list[Numbers]]]  # of each layer: weights by output, and intercepts
    spread: float
    middle: float
    rows: list[Numbers]
    landmarks: list[Numbers]
    gamma: float
    dual_coefficients: list[Numbers]
    n_neighbors: int
    power: float
    weights: Numbers
    targets: list[Numbers]
    shares: Numbers
    column: int
    level_weights: Numbers
    steps: Numbers
    slopes: list[Numbers]
    starts: Numbers


class Member(TypedDict):
    """A member of the exported model."""

    family: str
    classes: int
    numbers: Native


def predict(member: Member, x: Numbers) -> Numbers:
    """Return probabilities of all classes, or one value; missing numbers of the row are NaN."""
    native, classes = member["numbers"], member["classes"]
    out = FAMILIES[member["family"]](native, x, classes)
    seen = native.get("classes") or range(classes)
    full = [0.0] * classes  # a class that is absent from the training rows has probability 0
    for label, p in zip(seen, out, strict=False):
        full[int(label)] = p
    return full if classes else out


def constant(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the same prediction for every row."""
    return list(native["constant"])


def linear(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the prediction of a linear model."""
    scores = layer(scale(native, x), native["coefficients"], native["intercepts"])
    return probabilities(scores) if classes else scores


def mlp(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the mean prediction of a bag of multilayer perceptrons."""
    z, total = damp(scale(native, x)) + encode_bins(native, x), list[float]()
    for weights, starts in native["networks"]:
        hidden = z
        for depth, (columns, start) in enumerate(zip(weights, starts, strict=True), 1):
            hidden = layer(hidden, columns, start)
            hidden = [max(h, 0.0) for h in hidden] if depth < len(weights) else hidden
        each = probabilities(hidden) if classes else hidden
        total = [a + b for a, b in zip(total or [0.0] * len(each), each, strict=True)]
    mean = [one / len(native["networks"]) for one in total]
    return mean if classes else [mean[0] * native["spread"] + native["middle"]]


def knn(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the weighted mean of the nearest rows."""
    z, prior = damp(scale(native, x)), PRIOR if classes else 0.0
    squares = squared_distances(z, native["rows"])
    near = sorted(range(len(squares)), key=squares.__getitem__)[: native["n_neighbors"]]
    distances = [math.sqrt(squares[i]) + 1e-9 for i in near]
    total, mass = [prior * share for share in native["shares"]], prior
    for i, distance in zip(near, distances, strict=True):
        pull = (distances[0] / distance) ** native["power"] * native["weights"][i]
        total = [t + pull * target for t, target in zip(total, native["targets"][i], strict=True)]
        mass += pull
    return [t / mass for t in total] if mass > 0 else list(native["shares"])


def rbf_kernel(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the prediction of a linear model of similarities to landmarks."""
    squares = squared_distances(damp(scale(native, x)), native["landmarks"])
    scores = layer([math.exp(-native["gamma"] * s) for s in squares], native["dual_coefficients"], native["intercepts"])
    return probabilities(scores) if classes else scores


def column(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return a forecast that is a column of the example: seasonal naive, or of a local model."""
    return [fill_zero(x[native["column"]])]


def mean_level(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the weighted mean of levels."""
    values = [0.0, *map(fill_zero, x[1:6])]
    return [sum_of(a * b for a, b in zip(values, native["level_weights"], strict=True))]


def autoregression(native: Native, x: Numbers, classes: int) -> Numbers:
    """Return the prediction of the linear model of the step."""
    index = min(bisect_left(native["steps"], x[0]), len(native["steps"]) - 1)
    return layer(scale(native, x), [native["slopes"][index]], [native["starts"][index]])


def fill_zero(value: float) -> float:
    """Return the number, or 0 when it is missing."""
    return value if math.isfinite(value) else 0.0


def scale(native: Native, x: Numbers) -> Numbers:
    """Return the row filled, mapped by quantiles where they were learned, and standardized."""
    out = [fill if v != v else v for v, fill in zip(x, native["fill"], strict=True)]
    if "knots" in native:
        lines = zip(out, *native["knots"], strict=True)
        out = [interpolate(min(max(v, -MAX_VALUE), MAX_VALUE), knots, heights) for v, knots, heights in lines]
    parts = zip(out, native["mean"], native["scale"], strict=True)
    return [min(max((v - mean) / size, -MAX_Z), MAX_Z) for v, mean, size in parts]


def encode_bins(native: Native, x: Numbers) -> Numbers:
    """Return the piecewise linear encoding of the row; empty where none was learned."""
    out = list[float]()
    bins = (native.get("bin_columns", []), native.get("bin_starts", []), native.get("bin_widths", []))
    for at, start, width in zip(*bins, strict=True):
        value = x[int(at)] if x[int(at)] == x[int(at)] else native["fill"][int(at)]
        out.append(min(max((min(max(value, -MAX_VALUE), MAX_VALUE) - start) / width, 0.0), 1.0))
    return out


def interpolate(v: float, x: Numbers, y: Numbers) -> float:
    """Return the linear interpolation between knots."""
    j = bisect_right(x, v) - 1
    if j < 0 or j >= len(x) - 1:
        return y[max(j, 0)]
    return (y[j + 1] - y[j]) / (x[j + 1] - x[j]) * (v - x[j]) + y[j]


def damp(z: Numbers) -> Numbers:
    """Return values whose extremes are damped."""
    return [v / math.sqrt(1.0 + (v / SMOOTH_CLIP) * (v / SMOOTH_CLIP)) for v in z]


def squared_distances(z: Numbers, rows: list[Numbers]) -> Numbers:
    """Return the squared Euclidean distance to each row."""
    return [sum_of((a - b) * (a - b) for a, b in zip(z, row, strict=True)) for row in rows]


def layer(z: Numbers, columns: list[Numbers], intercepts: Numbers) -> Numbers:
    """Return for each output the weighted sum, added in order, and its intercept."""
    return [sum_of(v * w for v, w in zip(z, ws, strict=True)) + s for ws, s in zip(columns, intercepts, strict=True)]


def sum_of(terms: Iterable[float]) -> float:
    """Return the sum of terms added one after the other; Python's own sum compensates errors since 3.12."""
    total = 0.0
    for term in terms:
        total += term
    return total


def probabilities(scores: Numbers) -> Numbers:
    """Return probabilities from the logit of the second class, or from the scores of all classes."""
    if len(scores) == 1:
        odds = math.exp(-abs(scores[0]))
        positive = odds / (1.0 + odds) if scores[0] < 0 else 1.0 / (1.0 + odds)
        return [1.0 - positive, positive]
    raised = [math.exp(score - max(scores)) for score in scores]
    return [one / sum_of(raised) for one in raised]


FAMILIES = {
    function.__name__: function
    for function in (constant, linear, mlp, knn, rbf_kernel, column, mean_level, autoregression)
}
