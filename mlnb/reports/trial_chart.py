"""The trials of a hyperparameter search as the values of a chart."""

import json
from collections.abc import Sequence

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports import formatting
from mlnb.reports.charts import Chart, Series
from mlnb.reports.figures import TrialPoint, history_limits
from mlnb.tracking.artifact_views import Trial


def trial_chart(trials: Sequence[Trial], contract: ProblemContract | None) -> Chart:
    """Return the score of each trial, and the best so far.

    Args:
        trials: Trials with a score, at least one.
        contract: What is predicted; None: unknown, and a larger score is better.
    """
    ordered = sorted(trials, key=lambda trial: trial.number)
    direction = contract.direction if contract else "maximize"
    better = max if direction == "maximize" else min
    points = [TrialPoint(trial.number, trial.score or 0.0, is_complete(trial)) for trial in ordered]
    best: list[float | None] = []
    for point in points:
        before = best[-1] if best else None
        candidate = point.score if point.complete else before
        best.append(candidate if before is None or candidate is None else better(before, candidate))
    low, high = history_limits(points, direction)
    space = 0.06 * (high - low or abs(high) or 1.0)
    whole = [point.score if point.complete else None for point in points]
    pruned = [None if point.complete else point.score for point in points]
    return Chart(
        title="Score of each trial, and the best so far",
        x_label="trial",
        y_label=formatting.metric(contract.metric) if contract else "score",
        x=tuple(float(point.number) for point in points),
        series=(
            Series("best so far", best, "step", 3),
            Series("trial", whole, "points"),
            *([Series("pruned trial", pruned, "points", 2)] if any(value is not None for value in pruned) else ()),
        ),
        notes=tuple(map(_note, ordered)),
        low=low - space,
        high=high + space,
        width=1040,
        height=220,
    )


def _note(trial: Trial) -> str:
    parts = [f"trial {trial.number}: {formatting.number(trial.score)}", formatting.family(trial.family)]
    parts += [trial.state.lower()] if not is_complete(trial) else []
    return "; ".join(filter(None, [*parts, hyperparameters(trial.params)]))


def is_complete(trial: Trial) -> bool:
    """Return whether a trial was evaluated on all folds: the mean of a pruned one is over easier or harder ones."""
    return trial.state.lower() in ("complete", "finished")


def hyperparameters(text: str | None) -> str:
    """Return hyperparameters, a JSON object as text, as words: "alpha 0.1, scaled True"."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return str(text)
    if not isinstance(values, dict):
        return str(text)
    plain = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in plain.items())
