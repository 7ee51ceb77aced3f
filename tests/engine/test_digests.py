"""Digests that ignore what does not matter, and a cache that notices changed files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.engine import digests
from mlnb.engine.digests import (
    StatCache,
    digest_bytes,
    digest_code,
    digest_file,
    digest_module,
    digest_value,
    parse_cell,
    parse_python,
)
from mlnb.engine.notebook import imported_names

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4))
def test_the_order_of_keys_does_not_change_a_digest(value: dict[str, object]) -> None:
    assert digest_value(dict(reversed(value.items()))) == digest_value(value)


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ("def f(x):\n    return x+1  # a comment", True),
        ('def f(x):\n    """A docstring."""\n\n    return x + 1', True),
        ("def f(x):\n    return x + 2", False),
        ("def g(x):\n    return x + 1", False),
    ],
)
def test_comments_layout_and_docstrings_do_not_change_the_digest_of_code(other: str, equal: bool) -> None:
    assert (digest_code([other]) == digest_code(["def f(x):\n    return x + 1"])) is equal


def test_empty_cells_do_not_count_and_text_that_is_no_python_does() -> None:
    assert digest_code(["x = 1", "", "# note"]) == digest_code(["x = 1"])
    assert digest_code(["x = (", "y"]) != digest_code(["x = [", "y"])


def test_magics_are_parsed_as_statements() -> None:
    assert parse_cell("%time x = 1\n!ls\ny = 2") is not None
    assert parse_cell("%%bash\nls ((") is not None
    assert parse_cell("x = (") is None


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert digest_file(tmp_path / "a") == digest_bytes(b"abc")


def test_a_cached_value_is_valid_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "RACE", 0)
    path, cache = tmp_path / "a", StatCache(tmp_path / "cache.json")
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    assert cache.digest(path) == cache.get(path) == digest_bytes(b"one")
    cache.save()
    assert StatCache(tmp_path / "cache.json").get(path) == digest_bytes(b"one")
    inode = path.stat().st_ino
    with path.open("r+b") as file:
        file.write(b"two")
    os.utime(path, (1, 1))  # size, modification time and inode are the same, as after `cp -p` and `tar x`
    assert path.stat().st_ino == inode
    assert cache.get(path) is None and cache.digest(path) == digest_bytes(b"two")


def test_a_file_that_has_just_changed_is_not_cached(tmp_path: Path) -> None:
    path, cache = tmp_path / "a", StatCache(tmp_path / "cache.json")
    path.write_bytes(b"one")
    cache.digest(path)
    assert cache.get(path) is None


NESTED = '''
"""Module."""
import a
async def f():
    """Function."""
    with open("x") as file:
        from b import c
    match file:
        case 1:
            import d.e
try:
    pass
except ValueError:
    import g
else:
    class C:
        """Class."""
        def m(self):
            """Method."""
            from . import h
            return lambda: (1 if self else 2)
finally:
    while True:
        from ..i import j
'''


def test_a_module_has_the_digest_of_its_source_and_all_its_imports_are_found() -> None:
    tree = parse_python(NESTED)
    assert imported_names(tree, "p.q") == {"a", "b.c", "d.e", "g", "p.q.h", "p.i.j"}
    assert digest_module(tree) == digest_code([NESTED])
    comments = NESTED.replace('"""Method."""', '"""Another text."""').replace('"""Class."""', '"""Text."""')
    assert digest_code([comments]) == digest_code([NESTED]) != digest_code([NESTED.replace("import g", "import k")])
    assert digest_module(parse_python("# only a comment")) == digest_code(["# only a comment"]) == digest_code([])
