"""Labels of anomaly detection: which of them is the anomaly does not depend on how many rows of each were reviewed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.errors import DataError
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.problem.task_contracts import SHARE, complete_anomaly

PAIRS = [("normal", "anomaly"), ("No", "Yes"), ("0", "1"), ("good", "faulty"), ("ok", "odd"), ("typical", "Outlier")]
ROWS = 200


def label(**counts: int) -> pd.DataFrame:
    """Return rows of which some have a label."""
    labels = [name for name, rows in counts.items() for _ in range(rows)]
    return pd.DataFrame({"x": np.arange(ROWS), "label": labels + [None] * (ROWS - len(labels))})


@settings(max_examples=60)
@given(st.sampled_from(PAIRS), st.integers(1, 90), st.integers(2, 90))
def test_the_anomaly_is_found_by_its_name(pair: tuple[str, str], normal: int, anomalies: int) -> None:
    table = label(**dict(zip(pair, (normal, anomalies), strict=True)))
    contract = complete_anomaly(state("label", "anomaly"), table, "label")
    assert (contract.positive, contract.labels) == (pair[1], pair)
    share = anomalies / (normal + anomalies)
    assert contract.contamination == pytest.approx(share if share < 0.5 else SHARE)


@pytest.mark.parametrize("pair", PAIRS[:4])
def test_labels_of_normal_rows_alone_are_no_anomalies(pair: tuple[str, str]) -> None:
    with pytest.raises(DataError, match=f"are '{pair[0]}'; expected 2 anomalies"):
        complete_anomaly(state("label", "anomaly"), label(**{pair[0]: 30}), "label")
    assert complete_anomaly(state("label", "anomaly"), label(**{pair[1]: 9}), "label").positive == pair[1]
    stated = complete_anomaly(state("label", "anomaly", positive=pair[0]), label(**{pair[0]: 9}), "label")
    assert stated.positive == pair[0]


def test_names_that_say_nothing_are_chosen_by_their_share() -> None:
    for counts, positive in (({"-1": 5, "1": 40}, "-1"), ({"a": 40, "b": 5}, "b")):
        assert complete_anomaly(state("label", "anomaly"), label(**counts), "label").positive == positive
