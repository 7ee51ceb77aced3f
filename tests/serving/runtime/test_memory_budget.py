"""The memory of the requests in progress is reserved, refused and returned."""

import pytest

from mlnb.serving.runtime.memory_budget import MemoryBudget, Reservation
from mlnb.serving.runtime.request_bodies import BadRequest


def test_one_request_has_the_pool_and_others_wait():
    budget = MemoryBudget(800)
    with Reservation(budget) as one, Reservation(budget) as other:
        one.take(200)
        one.take(50)
        with pytest.raises(BadRequest) as busy:
            other.take(100)
        with pytest.raises(BadRequest) as large:
            one.take(100)
        other.take(50)
    assert (busy.value.status, large.value.status) == (503, 413)
    assert budget.used == 0
    with Reservation(budget) as one:
        one.take(300)
