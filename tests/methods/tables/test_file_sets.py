"""DVC pointers lead to the file next to them or in the cache."""

import pytest

from mlnb.methods.tables.file_sets import follow_pointer


def test_a_pointer_leads_to_its_file_then_to_the_cache_then_to_the_command(tmp_path):
    pointer = tmp_path / "data" / "a.csv.dvc"
    pointer.parent.mkdir()
    pointer.write_text("outs:\n- md5: dc3ba59be5d893be2c69ea202014fe78\n  hash: md5\n  path: a.csv\n")
    with pytest.raises(FileNotFoundError, match=r"dvc pull a\.csv\.dvc"):
        follow_pointer(str(pointer))
    cached = tmp_path / ".dvc" / "cache" / "files" / "md5" / "dc" / "3ba59be5d893be2c69ea202014fe78"
    cached.parent.mkdir(parents=True)
    cached.write_text("x\n1\n")
    assert follow_pointer(str(pointer)) == str(cached)
    (pointer.parent / "a.csv").write_text("x\n1\n")
    assert follow_pointer(str(pointer)) == str(pointer.parent / "a.csv")
    assert follow_pointer("b.csv") == "b.csv"
