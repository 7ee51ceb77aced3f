"""Reasons why a stage runs again."""

import pytest

from mlnb.codec import replace
from mlnb.engine.plan_reasons import explain
from mlnb.engine.run_records import KeyInputs, ParameterFingerprint

OLD = KeyInputs(
    contract="c", code="d", parameters={"lags": ParameterFingerprint(value=[1, 24])}, modules={"m.a": "1"},
    libraries={"numpy": "2.3"}, python="3.12", inputs={"table": "x", "gone": "y"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": {"table": "x"}}, ""),
        ({"parameters": {"lags": ParameterFingerprint(value=[1])}}, "lags changed: [1, 24] -> [1]"),
        ({"parameters": {**OLD.parameters, "k": ParameterFingerprint(value=1)}}, "parameter k is new"),
        ({"code": "e"}, "its code changed"),
        ({"contract": "e"}, "its reads or writes changed"),
        ({"modules": {"m.a": "2"}}, "m.a changed"),
        ({"modules": {f"m.{n}": "2" for n in "abcde"}}, "m.a, m.b, m.c and 2 more modules changed"),
        ({"libraries": {"numpy": "2.4"}}, "numpy 2.3 -> 2.4"),
        ({"python": "3.13"}, "Python 3.12 -> 3.13"),
        ({"inputs": {"table": "z", "gone": "w"}}, "inputs gone, table changed"),
        ({"code": "e", "python": "3.13"}, "its code changed; Python 3.12 -> 3.13"),
    ],
)
def test_each_difference_has_a_reason(changes: dict[str, object], reason: str) -> None:
    assert explain(OLD, replace(OLD, **changes)) == reason
