"""Models of segments and a global model on the same held-out rows: differences, their sign, and what is recommended."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlnb.api.segment_comparison import compare_segments, comparison_rows, recommendation
from mlnb.errors import DataError
from mlnb.methods.contracts.problems import ProblemContract

ROWS = 120
CONTRACT = ProblemContract(
    task="binary", target="y", classes=("no", "yes"), positive="yes", metric="roc_auc", direction="maximize"
)


class Evaluated:
    """A run with the artifacts that are compared."""

    def __init__(self, segment: str, numbers: np.ndarray, skill: float, contract: ProblemContract = CONTRACT) -> None:
        random = np.random.default_rng(len(segment) + len(numbers))
        truth = np.random.default_rng(7).integers(0, 2, 3 * ROWS)[numbers]
        yes = np.clip(0.5 + skill * (truth - 0.5) + 0.2 * random.normal(size=len(numbers)), 0, 1)
        table = pd.DataFrame({"truth": np.array(["no", "yes"], dtype=object)[truth], "p no": 1 - yes, "p yes": yes})
        self.artifacts = {"contract": contract, "test_rows": numbers, "predictions": table.assign(prediction="no")}
        self.record, self.id = type("Record", (), {"segment": segment}), f"run-{segment}"

    def load(self, artifact: str, kind: object = None) -> Any:
        return self.artifacts[artifact]


def parts(*skills: float) -> list[Any]:
    numbers = [np.arange(0, 3 * ROWS, 3), np.arange(1, 3 * ROWS, 3)]
    return [Evaluated(name, own, skill) for name, own, skill in zip("ab", numbers, skills, strict=True)]


def whole(skill: float) -> Any:
    return Evaluated("", np.arange(3 * ROWS), skill)


def test_rows_are_paired_by_their_number() -> None:
    comparison = compare_segments(whole(0.1), parts(0.8, 0.1))
    first, second = comparison.segments
    assert first.difference is not None and first.difference.rows == ROWS and first.sign == 1 and second.sign == 0
    assert comparison.total.difference is not None and comparison.total.difference.rows == 2 * ROWS
    assert comparison.total.sign == 1 and recommendation(comparison).startswith("Use one model for each segment")
    rows = comparison_rows(comparison)
    assert [row[0] for row in rows] == ["a", "b", "in all"] and [row[-1] for row in rows][:2] == [
        "segment",
        "not clear",
    ]


@pytest.mark.parametrize(
    ("skill", "own", "expected"),
    [
        (0.8, (0.1, 0.1), "Use the global model: it is clearly better in all."),
        (0.3, (0.3, 0.3), "Use the global model: no difference in all is clear, and one model is simpler."),
        (0.5, (0.95, 0.02), "Only in a the model of the segment is clearly better."),
    ],
)
def test_a_global_model_is_preferred_unless_it_is_clearly_worse(
    skill: float, own: tuple[float, float], expected: str
) -> None:
    assert recommendation(compare_segments(whole(skill), parts(*own))).endswith(expected)


def test_other_held_out_rows_are_refused() -> None:
    runs = parts(0.5, 0.5)
    runs[1].artifacts["test_rows"] = runs[1].artifacts["test_rows"] + 10 * ROWS
    with pytest.raises(DataError, match="has other held-out rows"):
        compare_segments(whole(0.5), runs)


def test_rows_that_depend_on_each_other_are_not_resampled() -> None:
    series = Evaluated("", np.arange(9), 0.5, ProblemContract(task="forecasting", target="y"))
    with pytest.raises(DataError, match="no independent rows"):
        compare_segments(series, [])  # type: ignore[arg-type]
