"""Conditions select the rows that a person would name, and no others; wrong ones are explained."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.engine.project import Project
from mlnb.erasure.conditions import Condition, read_selection
from mlnb.errors import MlnbError
from mlnb.methods.tables.pseudonyms import pseudonym

KEY = "a key for tests, of 32 characters"
PEOPLE = pd.DataFrame(
    {
        "id": [41, 42, 42],
        "code": ["007", "7", "42"],
        "mail": ["a@b.c", "it's", 'x and y = "z"'],
        "height": [1.5, 42.0, None],
        "born": pd.to_datetime(["1990-01-31", "1990-02-01", None]),
        "full name": ["Ann", "Bo", "ann"],
    }
)
SELECTED = {
    "id = 42": [1, 2],
    "id=42 and code = 7": [1],
    "code = 007": [0],
    "code == 42": [2],
    "mail = 'a@b.c'": [0],
    'mail = "it\'s"': [1],
    "mail = 'x and y = \"z\"' and id = 42": [2],
    "height = 42 AND id = 42": [1],
    "born = 1990-01-31": [0],
    "'full name' = Ann": [0],
    "full name = ann": [2],
    "id = 43": [],
    "id = x": [],
}


@pytest.mark.parametrize("where", SELECTED)
def test_conditions_select_rows(tmp_path: Path, where: str) -> None:
    matches = read_selection(Project(tmp_path, tmp_path), [where], None).matches(PEOPLE)
    assert matches is not None and matches.nonzero()[0].tolist() == SELECTED[where]


def test_several_conditions_and_a_file_select_the_rows_of_each(tmp_path: Path) -> None:
    project, values = Project(tmp_path, tmp_path), tmp_path / "people.csv"
    values.write_text("\ufeffcode,mail\n007,a@b.c\n", encoding="utf-8")
    selection = read_selection(project, ["code = 42"], values)
    assert (selection.columns, selection.values()) == (("code", "mail"), {"42", "007", "a@b.c"})
    assert selection.matches(PEOPLE).tolist() == [True, False, True]
    assert selection.matches(PEOPLE[["id"]]) is None
    selection = read_selection(project, ["cod = 42"], None)
    assert selection.matches(PEOPLE) is None
    assert selection.unknown_columns() == ["cod"]
    selection = read_selection(project, ["code = 42"], values)
    assert selection.matches(PEOPLE[["code"]].add_prefix("in.")).tolist() == [False, False, True]


WRONG = {
    "id > 42": "Found the condition 'id > 42'; expected column = value",
    "id": "expected column = value",
    "id = ": "expected column = value",
    "id = 1 and": "expected column = value",
    "= 4": "expected column = value",
    "id = 5 or id = 6": "expected one value.*repeat the option: --where",
    "id = 5 OR 6": "repeat the option",
    "id = 5; id = 6": "repeat the option",
    "mail = a or b": "needs quotes",
}


@pytest.mark.parametrize("where", WRONG)
def test_a_wrong_condition_is_explained(tmp_path: Path, where: str) -> None:
    with pytest.raises(MlnbError, match=WRONG[where]):
        read_selection(Project(tmp_path, tmp_path), [where], None)


def test_no_condition_and_wrong_files_are_explained(tmp_path: Path) -> None:
    project, values = Project(tmp_path, tmp_path), tmp_path / "people.csv"
    for text, problem in (
        (None, "cannot be read"),
        ("id\n", "has no lines"),
        ("id,mail\n1\n", "Line 2 of .* one value"),
    ):
        if text is not None:
            values.write_text(text)
        with pytest.raises(MlnbError, match=problem):
            read_selection(project, [], values)
    with pytest.raises(MlnbError, match="No condition: expected --where"):
        read_selection(project, [], None)


def test_the_keyed_hash_of_a_pseudonymized_column_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "columns.toml").write_text(
        '[columns.id]\npersonal = "pseudonymize"\n[columns.mail]\npersonal = "drop"\n'
    )
    project = Project(tmp_path, tmp_path)
    monkeypatch.delenv("MLNB_PERSONAL_KEY", raising=False)
    with pytest.raises(MlnbError, match="MLNB_PERSONAL_KEY is not set"):
        read_selection(project, ["id = 42"], None)
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)
    selection = read_selection(project, ["id = 42", "mail = 'a@b.c'"], None)
    stored = pd.DataFrame({"id": [pseudonym(41, KEY.encode()), pseudonym(42, KEY.encode())]})
    assert selection.matches(stored).tolist() == [False, True]
    assert [note.partition(":")[0] for note in selection.notes] == [
        "id is pseudonymized at ingest",
        "mail is dropped at ingest",
    ]


@given(value=st.text(st.characters(exclude_characters="\"'", exclude_categories=("Cs", "Cc")), min_size=1))
def test_any_quoted_value_selects_the_rows_that_have_it(value: str) -> None:
    project = Project(Path("/nowhere"), Path("/nowhere"))
    for quote in ("'", '"'):
        (conditions,) = read_selection(project, [f"a = {quote}{value}{quote}"], None).alternatives
        assert conditions == (Condition("a", (value,)),)
