"""Which installed libraries a notebook imports, read from its source without running it."""

import os
from pathlib import Path

import pytest

from mlnb.kernels.driver import notebook_imports
from mlnb.kernels.driver.notebook_imports import ImportCache


@pytest.fixture
def cache(tmp_path: Path) -> ImportCache:
    """A cache in a folder that does not exist yet."""
    return ImportCache(tmp_path / "kernels" / "imports.cache")


def test_imports_are_read_through_the_project_s_modules(tmp_path: Path, cache: ImportCache) -> None:
    (tmp_path / "helper.py").write_text("import numpy\nfrom other import x\ndef f():\n    import pandas\n")
    (tmp_path / "other.py").write_text("try:\n    from scipy import stats\nexcept ImportError:\n    stats = None\n")
    cells = ["%matplotlib inline\nimport helper, os", "!ls\nimport json", "%%bash\nimport nothing", "x = ="]
    assert notebook_imports.third_party_imports(cells, tmp_path, cache) == ["numpy", "scipy", "scipy.stats"]


def test_relative_imports_are_followed(tmp_path: Path, cache: ImportCache) -> None:
    for file, source in {
        "package/__init__.py": "from . import first",
        "package/first.py": "from .inner.deep import f\nfrom ... import too_far",
        "package/inner/__init__.py": "",
        "package/inner/deep.py": "from ..last import f",
        "package/last.py": "from scipy import stats",
        "alone.py": "from .nothing import f\nimport numpy",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(source)
    cells = ["import package", "from .package import first", "import alone"]
    assert notebook_imports.third_party_imports(cells, tmp_path, cache) == ["scipy", "scipy.stats", "numpy"]


def test_a_changed_module_is_read_again(tmp_path: Path, cache: ImportCache) -> None:
    (tmp_path / "helper_changing.py").write_text("import numpy\n")
    assert notebook_imports.third_party_imports(["import helper_changing"], tmp_path, cache) == ["numpy"]
    (tmp_path / "helper_changing.py").write_text("import scipy\n")
    os.utime(tmp_path / "helper_changing.py", ns=(1, 1))
    assert notebook_imports.third_party_imports(["import helper_changing"], tmp_path, cache) == ["scipy"]


def test_modules_that_import_each_other_are_read_once(tmp_path: Path, cache: ImportCache) -> None:
    (tmp_path / "one_way.py").write_text("import back_again, numpy\n")
    (tmp_path / "back_again.py").write_text("import one_way\n")
    assert notebook_imports.third_party_imports(["import one_way"], tmp_path, cache) == ["numpy"]


def test_another_process_parses_no_module_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "retained.py").write_text("import numpy\n")
    file = tmp_path / "imports.cache"
    expected = notebook_imports.third_party_imports(["import retained"], tmp_path, ImportCache(file))
    assert expected == ["numpy"] and file.stat().st_mode & 0o777 == 0o600
    parsed = []
    monkeypatch.setattr(notebook_imports, "imported_names", lambda source: parsed.append(source) or ("retained",))
    assert notebook_imports.third_party_imports(["import retained"], tmp_path, ImportCache(file)) == expected
    assert parsed == ["import retained"]  # the cell


def test_processes_add_to_each_other_s_entries_and_forget_deleted_files(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / f"{name}.py").write_text("import numpy\n")
    one, other = (ImportCache(tmp_path / "imports.cache") for _ in range(2))
    notebook_imports.third_party_imports(["import first, third"], tmp_path, one)
    (tmp_path / "third.py").unlink()
    notebook_imports.third_party_imports(["import second"], tmp_path, other)
    written = (tmp_path / "imports.cache").read_text()
    assert "first.py" in written and "second.py" in written and "third.py" not in written


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"a": 1}', b"\xff", b'{"a": [1, 2, [3]]}'])
def test_a_damaged_cache_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "imports.cache"
    file.write_bytes(damage)
    (tmp_path / "helper_of_damaged.py").write_text("import numpy\n")
    cache = ImportCache(file)
    assert notebook_imports.third_party_imports(["import helper_of_damaged"], tmp_path, cache) == ["numpy"]
    assert "helper_of_damaged" in file.read_text()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "helper_unwritable.py").write_text("import numpy\n")
    cache = ImportCache(tmp_path / "file" / "imports.cache")
    assert notebook_imports.third_party_imports(["import helper_unwritable"], tmp_path, cache) == ["numpy"]


def test_only_imports_outside_of_functions_count() -> None:
    source = (
        "if x:\n    import a\nelse:\n    from b import c\ndef f():\n    import d\nclass C:\n    import e\nimport g.h"
    )
    assert notebook_imports.imported_names(source) == ("a", "b", "b.c", "g.h")
    assert notebook_imports.imported_names("from . import x\nfrom ..y import z") == (".x", "..y", "..y.z")
    assert notebook_imports.imported_names("x =") == ()


def test_lines_for_ipython_are_left_out() -> None:
    assert notebook_imports.plain_code("%time\nimport a\n!ls\n?a") == "\nimport a\n\n"
    assert notebook_imports.plain_code("  %%bash\nimport a") == ""
