"""The size of an output's message, by which a cell's output is limited; faults are in `test_faults.py`."""

import pytest

from mlnb.kernels.driver.warm_client import text_size


@pytest.mark.parametrize(
    ("content", "size"),
    [
        ("abc", 3),
        ({"data": {"text/plain": "ab", "text/html": "<b>"}, "metadata": {}}, 5),
        ({"traceback": ["ab", "c"], "execution_count": 12}, 3),
        (None, 0),
    ],
)
def test_all_texts_of_a_message_count(content: object, size: int) -> None:
    assert text_size(content) == size
