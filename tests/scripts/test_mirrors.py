"""The check that each hand-written module has a test file or a reason."""

import mirrors
import pytest


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A code base of three modules, of which two have a test file."""
    for path in ("mlnb/engine/plan.py", "mlnb/engine/store.py", "mlnb/errors.py", "mlnb/methods/a.py",
                 "mlnb/engine/__init__.py", "tests/engine/test_plan.py", "tests/test_errors.py"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.setattr(mirrors, "TESTS", tmp_path / "tests")
    monkeypatch.setattr(mirrors, "CODE", tmp_path / "mlnb")
    return monkeypatch


@pytest.mark.parametrize(
    ("table", "messages"),
    [
        ({}, ["mlnb/engine/store.py has no tests/engine/test_store.py"]),
        ({"engine/test_plan.py": ("a reason", "engine/store")}, []),
        ({"engine/test_x.py": ("a reason", "engine/store")}, ["lists tests/engine/test_x.py, which does not exist"]),
        ({"test_errors.py": ("a reason", "engine/store engine/gone")}, ["lists engine/gone, which is no module"]),
        ({"test_errors.py": ("a reason", "engine/store engine/plan")}, ["lists engine/plan, which has a test file"]),
        ({"test_errors.py": ("a reason", "engine/store engine/store")}, ["lists engine/store twice"]),
    ],
)
def test_missing_test_files_and_wrong_entries_are_reported(tree, table, messages):
    tree.setattr(mirrors, "TOGETHER", table)
    lines = mirrors.find()
    assert len(lines) == len(messages) and all(map(str.__contains__, lines, messages)), lines
