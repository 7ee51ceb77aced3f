"""What families that are numbers predict for one encoded row, by Python alone; `scorer.py` reads this file."""

import math
from bisect import bisect_left, bisect_right
from typing import Any

LARGEST, STEEPEST, GENTLE, PRIOR = 1e30, 50.0, 3.0, 0.5
Numbers = list[float]


def predict(member: dict[str, Any], x: Numbers) -> Numbers:
    """Return probabilities of all classes, or one value; missing numbers of the row are NaN."""
    native, classes = member["numbers"], member["classes"]
    out = FAMILIES[member["family"]](native, x, classes)
    seen = native.get("classes") or range(classes)
    full = [0.0] * classes  # a class that training rows lacked has probability 0
    for label, p in zip(seen, out, strict=False):
        full[int(label)] = p
    return full if classes else out


def constant(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return the same for every row."""
    return list(native["constant"])


def linear(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return what a linear model says."""
    scores = layer(scale(native, x), native["coefficients"], native["intercepts"])
    return probabilities(scores) if classes else scores


def network(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return the mean of a bag of networks."""
    z, total = gentle(scale(native, x)), list[float]()
    for weights, starts in native["networks"]:
        hidden = z
        for depth, (columns, start) in enumerate(zip(weights, starts, strict=True), 1):
            hidden = layer(hidden, columns, start)
            hidden = [max(h, 0.0) for h in hidden] if depth < len(weights) else hidden
        said = probabilities(hidden) if classes else hidden
        total = [a + b for a, b in zip(total or [0.0] * len(said), said, strict=True)]
    mean = [one / len(native["networks"]) for one in total]
    return mean if classes else [mean[0] * native["spread"] + native["middle"]]


def neighbours(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return the weighted mean of the nearest rows."""
    z, prior = gentle(scale(native, x)), PRIOR if classes else 0.0
    far = [sum_of((a - b) * (a - b) for a, b in zip(z, row, strict=True)) for row in native["rows"]]
    near = sorted(range(len(far)), key=far.__getitem__)[: native["neighbours"]]
    away = [math.sqrt(far[i]) + 1e-9 for i in near]
    total, mass = [prior * share for share in native["shares"]], prior
    for i, distance in zip(near, away, strict=True):
        pull = (away[0] / distance) ** native["power"] * native["weights"][i]
        total = [t + pull * known for t, known in zip(total, native["known"][i], strict=True)]
        mass += pull
    return [t / mass for t in total] if mass > 0 else list(native["shares"])


def seasonal_naive(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return the value of the last cycle."""
    return [known(x[native["column"]])]


def levels(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return the weighted mean of levels."""
    found = [0.0, *map(known, x[1:6])]
    return [sum_of(a * b for a, b in zip(found, native["levels"], strict=True))]


def autoregression(native: dict[str, Any], x: Numbers, classes: int) -> Numbers:
    """Return what the linear model of the step says."""
    place = min(bisect_left(native["steps"], x[0]), len(native["steps"]) - 1)
    return layer(scale(native, x), [native["slopes"][place]], [native["starts"][place]])


def known(value: float) -> float:
    """Return the number, or 0 when it is missing."""
    return value if math.isfinite(value) else 0.0


def scale(native: dict[str, Any], x: Numbers) -> Numbers:
    """Return the row filled, brought through quantiles where they were learned, and standardised."""
    out = [fill if v != v else v for v, fill in zip(x, native["fill"], strict=True)]
    if "knots" in native:
        lines = zip(out, *native["knots"], strict=True)
        out = [bend(min(max(v, -LARGEST), LARGEST), at, to) for v, at, to in lines]
    parts = zip(out, native["mean"], native["scale"], strict=True)
    return [min(max((v - mean) / size, -STEEPEST), STEEPEST) for v, mean, size in parts]


def bend(v: float, at: Numbers, to: Numbers) -> float:
    """Return the height of straight lines between knots."""
    j = bisect_right(at, v) - 1
    if j < 0 or j >= len(at) - 1:
        return to[max(j, 0)]
    return (to[j + 1] - to[j]) / (at[j + 1] - at[j]) * (v - at[j]) + to[j]


def gentle(z: Numbers) -> Numbers:
    """Return far values bent in."""
    return [v / math.sqrt(1.0 + (v / GENTLE) * (v / GENTLE)) for v in z]


def layer(z: Numbers, columns: list[Numbers], starts: Numbers) -> Numbers:
    """Return for each output the sum of weighted numbers, added in their order, and its start."""
    return [sum_of(v * w for v, w in zip(z, ws, strict=True)) + s for ws, s in zip(columns, starts, strict=True)]


def sum_of(terms: Any) -> float:
    """Return the terms added one after the other: Python's own sum rounds less from 3.12 on."""
    total = 0.0
    for term in terms:
        total += term
    return total


def probabilities(scores: Numbers) -> Numbers:
    """Return the probabilities of a logit of the second class, or of scores of all."""
    if len(scores) == 1:
        odds = math.exp(-abs(scores[0]))
        positive = odds / (1.0 + odds) if scores[0] < 0 else 1.0 / (1.0 + odds)
        return [1.0 - positive, positive]
    raised = [math.exp(score - max(scores)) for score in scores]
    return [one / sum_of(raised) for one in raised]


FAMILIES = {
    function.__name__: function
    for function in (constant, linear, network, neighbours, seasonal_naive, levels, autoregression)
}
