"""Generated files with every quirk: each is read right, or what is doubtful is reported; never wrong in silence.

python tests/generated_files.py 200    reads 200 files and prints the counts
"""

import pytest
from generated_files import generate, judge


@pytest.mark.parametrize("seed", range(5000, 5024))
def test_a_file_is_read_right_in_training_and_in_scoring(seed, tmp_path):
    generated = generate(seed)
    result = judge(generated, tmp_path)
    assert result.outcome in ("right", "warned"), (generated.quirks, result.detail)
