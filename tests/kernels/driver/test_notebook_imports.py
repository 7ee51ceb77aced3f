"""Which installed libraries a notebook imports, read from its source without running it."""

import os
from pathlib import Path

from mlnb.kernels.driver import notebook_imports


def test_imports_are_read_through_the_project_s_modules(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import numpy\nfrom other import x\ndef f():\n    import pandas\n")
    (tmp_path / "other.py").write_text("try:\n    from scipy import stats\nexcept ImportError:\n    stats = None\n")
    cells = ["%matplotlib inline\nimport helper, os", "!ls\nimport json", "%%bash\nimport nothing", "x = ="]
    assert notebook_imports.third_party_imports(cells, tmp_path) == ["numpy", "scipy", "scipy.stats"]


def test_a_changed_module_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "helper_changing.py").write_text("import numpy\n")
    assert notebook_imports.third_party_imports(["import helper_changing"], tmp_path) == ["numpy"]
    (tmp_path / "helper_changing.py").write_text("import scipy\n")
    os.utime(tmp_path / "helper_changing.py", ns=(1, 1))
    assert notebook_imports.third_party_imports(["import helper_changing"], tmp_path) == ["scipy"]


def test_modules_that_import_each_other_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "one_way.py").write_text("import back_again, numpy\n")
    (tmp_path / "back_again.py").write_text("import one_way\n")
    assert notebook_imports.third_party_imports(["import one_way"], tmp_path) == ["numpy"]


def test_only_imports_outside_of_functions_count() -> None:
    source = (
        "if x:\n    import a\nelse:\n    from b import c\ndef f():\n    import d\nclass C:\n    import e\nimport g.h"
    )
    assert notebook_imports.imported_names(source) == ("a", "b", "b.c", "g.h")
    assert notebook_imports.imported_names("from . import x") == () == notebook_imports.imported_names("x =")


def test_lines_for_ipython_are_left_out() -> None:
    assert notebook_imports.plain_code("%time\nimport a\n!ls\n?a") == "\nimport a\n\n"
    assert notebook_imports.plain_code("  %%bash\nimport a") == ""
