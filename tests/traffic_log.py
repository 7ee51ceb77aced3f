"""A prediction log with two versions and its labels, as a service with a canary or a shadow writes them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.monitoring.labels import add_labels
from mlnb.serving.runtime.log_segments import convert_segment
from mlnb.serving.runtime.prediction_log import PredictionLog

DAY = 86_400.0


def write_traffic(
    folder: Path,
    champion: str,
    challenger: str,
    skills: tuple[float, float] = (0.5, 0.5),
    labels: tuple[float, float] = (1.0, 1.0),
    shadow: bool = False,
    classes: tuple[str, str] = ("no", "yes"),
    count: int = 300,
    truth: Callable[[np.random.Generator], int] = lambda random: int(random.integers(0, 2)),
) -> None:
    """Write `log` and `labels.db` of one day: requests of two rows, a third of which the challenger responds to.

    Args:
        folder: of both.
        champion, challenger: versions, as `model:tag`.
        skills: how far the probabilities of each follow the truth, in [0, 1].
        labels: share of the requests of each that are labeled.
        shadow: whether the challenger responds to every request, and its responses are not returned.
        classes: the classes, the positive one last.
        count: of the requests.
        truth: draws the code of a true class.
    """
    random = np.random.default_rng(0)
    now = [0.0]
    log = PredictionLog(folder / "log", convert=convert_segment, clock=lambda: now[0])
    events: list[tuple[str, int, str]] = []

    def respond(codes: list[int], skill: float) -> list[dict[str, Any]]:
        responses = []
        for code in codes:
            p = float(np.clip(0.5 + skill * (code - 0.5) + random.normal(0, 0.15), 0.01, 0.99))
            probabilities = {classes[0]: 1 - p, classes[1]: p}
            responses.append({"prediction": classes[int(p >= 0.5)], "probabilities": probabilities})
        return responses

    for number in range(count):
        request, canary, now[0] = f"r{number}", number % 3 == 0, DAY * number / count
        codes = [truth(random), truth(random)]
        rows = [{"a": float(code)} for code in codes]
        if shadow or not canary:
            log.record(request, champion, rows, respond(codes, skills[0]), 0.001)
        if shadow or canary:
            log.record(request, challenger, rows, respond(codes, skills[1]), 0.001, shadow=shadow)
        if random.random() < labels[canary and not shadow]:
            events += [(request, row, classes[code]) for row, code in enumerate(codes)]
    log.close()
    add_labels(folder / "labels.db", events, DAY)
