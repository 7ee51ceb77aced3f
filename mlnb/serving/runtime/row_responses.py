"""From one row's prediction to its answer: `mlnb.methods.decisions.decisions.answers` for a single row, without arrays.

The numbers are the same, bit for bit: what adds, multiplies and compares is done on Python's floats, which are
the same 64 bits; logarithms and exponentials are still numpy's.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlnb.methods.contracts.decisions import Decision, Isotonic, ValueInterval
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.decisions.decisions import answers

Say = Callable[[list[float]], dict[str, Any]]  # probabilities (k,) or one value -> the answer


def compile_answer(contract: ProblemContract, decision: Decision) -> Say:
    """Return what makes an answer of one row's prediction."""
    calibration, interval = decision.calibration, decision.interval
    if contract.task == "regression":
        return _say_value(interval if isinstance(interval, ValueInterval) else None)
    if contract.classes and (calibration is None or isinstance(calibration, Isotonic)) and decision.costs is None:
        return _say_class(list(contract.classes), decision.threshold, calibration)

    def say(prediction: list[float]) -> dict[str, Any]:
        answer: dict[str, Any] = answers(np.array([prediction]), contract, decision)[0]
        return answer

    return say


def _say_class(classes: list[str], threshold: float | None, isotonic: Isotonic | None) -> Say:
    """Return the answers of a classifier: the class by threshold or the most probable one."""
    calibrated = None if isotonic is None else _line(isotonic.x, isotonic.y)

    def say(p: list[float]) -> dict[str, Any]:
        if calibrated is not None:
            positive = calibrated(p[1])
            p = [1.0 - positive, positive]
        label = p.index(max(p)) if threshold is None else int(p[1] >= threshold)
        return {"prediction": classes[label], "probabilities": dict(zip(classes, p, strict=True))}

    return say


def _say_value(interval: ValueInterval | None) -> Say:
    """Return the answers of a regression: the value, and the interval when one was learned."""
    if interval is None:
        return lambda prediction: {"prediction": prediction[0]}
    scale, low, high = _line(interval.x, interval.scale), interval.low, interval.high

    def say(prediction: list[float]) -> dict[str, Any]:
        value = prediction[0]
        width = scale(value)
        return {"prediction": value, "interval": {"low": value + low * width, "high": value + high * width}}

    return say


def _line(knots: Sequence[float], heights: Sequence[float]) -> Callable[[float], float]:
    """Return `mlnb.methods.decisions.decisions.interpolate` for one number."""
    x, y, last = [float(v) for v in knots], [float(v) for v in heights], len(knots) - 2

    def at(value: float) -> float:
        place = min(max(bisect_right(x, value) - 1, 0), last)
        share = min(max((value - x[place]) / (x[place + 1] - x[place]), 0.0), 1.0)
        low, high = y[place], y[place + 1]
        return min(max(low + (high - low) * share, min(low, high)), max(low, high))

    return at if last >= 0 else lambda value: y[0]
