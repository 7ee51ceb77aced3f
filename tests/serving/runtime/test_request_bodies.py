from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.request_bodies import SHOWN, BadRows


def test_bad_rows_name_the_first_problem_and_list_some():
    problems = [RowProblem(row=n, column="age", found="'x'", expected="a finite number") for n in range(50)]
    error = BadRows(problems)
    assert (error.row, error.column, error.found, error.expected) == (0, "age", "'x'", "a finite number")
    assert str(error) == "row 0, column 'age': found 'x', expected a finite number (and at least 49 more problems)"
    assert error.status == 422
    assert len(error.refusal().problems) == SHOWN
    assert str(BadRows(problems[:2])).endswith("(and 1 more problem)")
