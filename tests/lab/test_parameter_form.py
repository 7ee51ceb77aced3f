"""The form of a parameters cell: fields from declarations, values in their place, reasons for those not accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.engine.notebook_document import with_defaults
from mlnb.engine.parameters import read_parameters
from mlnb.engine.run_records import ParameterValue
from mlnb.errors import MlnbError, ParameterError
from mlnb.lab.parameter_form import fill_form, value_text

SOURCE = """\
# What a run may set: "my_seed: int = 0" is no parameter.
run: str = "draft"  # id of the run, or draft
my_seed: int = 0  # another seed
seed: int = 0  # random seed [0..]
rate: float | None = (
    0.5  # share of the rows, ½ by default [0..1]
)
word: str = "é"  # a word [é|b|c]
bounds: list[float] = [0.1, 1.0]  # ends
plots: bool = True  # whether figures are drawn
costs: dict = {"a": 1}  # by class"""


def fields(texts=None, planned=None, source=SOURCE):
    form = fill_form(source, texts or {}, planned or {}, "40_a.ipynb")
    return form, {field.name: field for field in form.fields}


def test_declarations_become_fields():
    form, listed = fields()
    assert form.source == SOURCE and "run" not in listed
    assert (listed["seed"].kind, listed["seed"].low, listed["seed"].high) == ("integer", "0", "")
    assert (listed["rate"].kind, listed["rate"].optional, listed["rate"].text) == ("number", True, "0.5")
    assert (listed["word"].kind, listed["word"].choices) == ("choice", ("é", "b", "c"))
    assert (listed["plots"].kind, listed["plots"].text) == ("choice", "true")
    assert (listed["bounds"].kind, listed["bounds"].text) == ("text", "[0.1, 1.0]")
    assert listed["seed"].description == "random seed" and listed["seed"].expected == "int, at least 0"


def test_a_value_replaces_the_default_and_nothing_else():
    form, listed = fields(
        {"seed": "7", "rate": "", "word": "b", "bounds": "2,3", "plots": "false", "costs": '{"b": 2}'}
    )
    expected = SOURCE.replace("\nseed: int = 0", "\nseed: int = 7").replace("0.5  #", "None  #")
    expected = expected.replace('word: str = "é"', 'word: str = "b"').replace("[0.1, 1.0]", "[2.0, 3.0]")
    assert form.source == expected.replace("= True", "= False").replace('{"a": 1}', '{"b": 2}')
    assert listed["seed"].text == "7" and listed["rate"].text == ""


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("seed", "-1", "at least 0"),
        ("seed", "x", "int"),
        ("word", "d", "one of"),
        ("rate", "2", "at most 1"),
        ("seed", "", ""),
    ],
)
def test_a_value_that_is_not_accepted_changes_nothing(name, text, reason):
    form, listed = fields({name: text})
    assert form.source == SOURCE and reason in listed[name].problem and listed[name].problem
    assert listed[name].text == text


def test_the_value_of_the_next_run_is_shown_with_its_origin():
    planned = {name: ParameterValue(value=3, origin=origin) for name, origin in (("seed", "-p"), ("rate", "default"))}
    _, listed = fields(planned=planned)
    assert listed["seed"].override == "3 (-p)" and listed["rate"].override == "" and listed["word"].override == ""


def test_wrong_cells_and_names_are_explained():
    with pytest.raises(MlnbError, match="must start with"):
        fields(source="a: int = 1")
    with pytest.raises(ParameterError, match="no parameter 'sed'"):
        fields({"sed": "1"})


VALUES = {
    "seed": st.integers(0, 10**6),
    "rate": st.none() | st.floats(0, 1),
    "word": st.sampled_from(["é", "b", "c"]),
    "bounds": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    "plots": st.booleans(),
    "costs": st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(), max_size=2),
}


@settings(max_examples=60)
@given(st.fixed_dictionaries({}, optional=VALUES))
def test_any_value_is_read_back_and_shown_as_it_is_typed(values):
    source = with_defaults(SOURCE, values)
    declared = {one.name: one.default for one in read_parameters(source, "40_a.ipynb")}
    assert declared == {one.name: one.default for one in read_parameters(SOURCE, "40_a.ipynb")} | values
    assert [line.partition("#")[2] for line in source.splitlines() if "=" not in line.partition("#")[2]]
    form, _ = fields({name: value_text(value) for name, value in values.items()})
    assert {one.name: one.default for one in read_parameters(form.source, "40_a.ipynb")} == declared
