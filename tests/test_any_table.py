"""Every table ends in a result, or in an error of `mlnb.errors` that names what to change: tried on generated tables.

MLNB_FUZZ_CASES=1000 python -m pytest tests/test_any_table.py    a long run; the variable MLNB_FUZZ_FIRST is its start
"""

import math
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from generated_tables import KINDS, make_case
from stage_cells import StageCells

from mlnb.errors import MlnbError
from mlnb.methods.contracts.evaluations import Metrics

CASES = int(os.environ.get("MLNB_FUZZ_CASES", "24"))
FIRST = int(os.environ.get("MLNB_FUZZ_FIRST", "0"))
SHARE = 12  # cases of one test
ADVICE = re.compile(
    r"\b(expected|state|add|drop|fill|label|leave out|rename|choose|use|split|lower|raise|pip install)\b"
)


def outcome(root: Path, number: int) -> str:
    """Return how the case of a number ended; fail for another exception, for NaN, and for an error without advice."""
    case = make_case(number)
    root.mkdir()
    case.table.to_csv(root / "data.csv", index=False)
    about = f"case {number}, {case}"
    try:
        cells = StageCells(root).run({"ingest.data": "data.csv", **case.parameters})
    except MlnbError as error:
        assert ADVICE.search(str(error)), f"{about}: no advice in {error}"
        return f"{case.kind}: refused"
    except Exception as error:
        raise AssertionError(f"{about}: {type(error).__name__}: {error}") from error
    undefined = [name for name, value in cells.metrics.items() if not math.isfinite(value)]
    assert not undefined, f"{about}: {undefined} are no numbers"
    deciding = cells.load("metrics", Metrics).deciding
    assert deciding.value is not None, f"{about}: {deciding.name} is undefined"
    return f"{case.kind}: trained"


@pytest.mark.parametrize("start", range(FIRST, FIRST + CASES, SHARE))
def test_every_table_ends_in_a_result_or_in_advice(tmp_path: Path, start: int) -> None:
    ends = range(start, min(start + SHARE, FIRST + CASES))
    counted = Counter(outcome(tmp_path / str(number), number) for number in ends)
    print(dict(counted))


def test_the_generated_tables_are_of_every_kind_and_the_same_again() -> None:
    assert {make_case(number).kind for number in range(60)} == set(KINDS)
    assert all(make_case(number).table.equals(make_case(number).table) for number in range(20))
