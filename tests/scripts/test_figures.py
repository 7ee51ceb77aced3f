"""Figures of the code that `make check` prints and limits."""

import ast

import figures
import lengths
import pytest


def module(path, text):
    return figures.Module(path, text, ast.parse(text))


TYPES = module(
    "mlnb/types.py",
    """
from typing import Any
Record = dict[str, Any]  # dict[str, Any]
Pair = tuple[dict[str, Any], list[dict[str, Any]]]
Name = str
""",
)
USER = module(
    "mlnb/user.py",
    """
from mlnb.types import Pair as P, Record
def f(a: Record, b: "dict[str, Any]", c: dict[str, int]) -> P:
    '''A dict[str, Any].'''
    return a["x"]["y"], b[0], c[f"{a}"]
""",
)


def test_untyped_dictionaries_and_their_aliases_are_counted():
    assert figures.untyped([TYPES, USER]) == {"mlnb/types.py": 3, "mlnb/user.py": 1 + 1 + 2}


def test_other_dictionaries_of_anything_are_counted_apart():
    types = ["dict", "list[dict]", "Mapping[str, Any]", "dict[str, object]", "dict[str, Any]", "dict[str, int]"]
    text = "\n".join(f"x{number}: {name}" for number, name in enumerate(types))
    assert figures.loose([module("mlnb/a.py", text)]) == 4


def test_only_literal_texts_are_counted_as_subscripts():
    assert figures.subscripts([USER])["mlnb/user.py"] == 2


def test_names_that_modules_share_need_a_reason(monkeypatch):
    listed = [module(path, "") for path in ("mlnb/a/x.py", "mlnb/b/x.py", "mlnb/a/__init__.py", "mlnb/b/__init__.py")]
    assert figures.repeated_names(listed) == {"x": ["mlnb/a/x.py", "mlnb/b/x.py"]}
    monkeypatch.setitem(figures.SHARED_NAMES, "x", "one meaning")
    assert figures.repeated_names(listed) == {}


def test_reasons_are_of_names_that_are_shared():
    stems = [one.path.rpartition("/")[2].removesuffix(".py") for one in figures.modules()]
    assert [name for name in figures.SHARED_NAMES if stems.count(name) < 2] == []


def test_rates_are_per_thousand_lines():
    assert figures.per_thousand(2, [module("a.py", "x = 1\n" * 500)]) == 4


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", 0),
        ('"""Doc.\n\nMore.\n"""\n', 0),
        ("# comment\n\nx = 1  # here\n", 1),
        ('def f():\n    """Doc."""\n    return (\n        1\n    )\n', 4),
        ('text = """a\n\nb"""\n', 3),
    ],
)
def test_lines_of_code_leave_out_docstrings_comments_and_blank_lines(text, expected):
    assert lengths.code_lines(text) == expected


def test_every_stage_has_cells_that_run_it():
    assert all(lengths.stage_cells().values())


def test_a_figure_that_is_enforced_fails_with_what_it_counts(monkeypatch):
    monkeypatch.setattr(figures, "modules", lambda: [TYPES, USER])
    lines, _ = figures.figures()
    assert lines[0].startswith("dict[str, Any]: ")
    monkeypatch.setattr(figures, "UNTYPED", 0.0)
    monkeypatch.setitem(figures.ENFORCED, "untyped", True)
    assert figures.figures()[1][0].endswith("limit 0")
    monkeypatch.setitem(figures.ENFORCED, "untyped", False)
    assert not any(line.startswith("dict") for line in figures.figures()[1])
