from dataclasses import replace

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Column, Schema
from mlnb.serving.runtime.response_schemas import describe_column, describe_responses, describe_rows


def test_a_row_has_the_models_columns_and_no_others():
    schema = Schema(
        (
            Column("age", "number", nullable=True, integer=True, minimum=1.0, maximum=80.0, example=31.0),
            Column("sex", "category", nullable=False, categories=("f", "m", "x"), common=("m", "f"), example="f"),
            Column("id", "number", role="identifier"),
            Column("survived", "category", role="target"),
        )
    )
    described = describe_rows(schema, [{"age": 3, "sex": "f"}])
    row = described["items"]
    assert list(row["properties"]) == ["age", "sex"]
    assert row["required"] == ["sex"]
    age = row["properties"]["age"]
    assert (age["type"], age["example"]) == ("number", 31.0)
    assert age["description"] == "whole, about 1 to 80 in training; may be left out"
    assert row["properties"]["sex"]["description"] == "seen in training: m, f and 1 more"
    assert described["example"] == [{"age": 3, "sex": "f"}]


def test_many_categories_are_truncated_and_dates_have_their_format():
    towns = tuple(f"t{n:04}" for n in range(1000))
    many = Column("town", "category", nullable=False, categories=towns, common=towns[:20])
    assert describe_column(many)["description"].endswith("t0019 and 980 more")
    assert "description" not in describe_column(replace(many, common=()))  # each of them is in few rows only
    formats = [form.get("format") for form in describe_column(Column("day", "date"))["anyOf"]]
    assert formats[:2] == ["date-time", "date"]


def test_the_ends_of_a_range_are_no_row_s_values():
    income = Column("income", "number", nullable=False, minimum=-20_118.37, maximum=74_002.51)
    assert describe_column(income)["description"] == "about -21000 to 75000 in training"
    assert describe_column(replace(income, minimum=0.0, maximum=0.0312))["description"].startswith("about 0 to 0.032")
    born = replace(income, kind="date", minimum="1931-03-09T00:00:00", maximum="2004-07-01T00:00:00")
    assert describe_column(born)["description"] == "about 1931 to 2004 in training"
    assert "description" not in describe_column(replace(born, personal="birth dates"))


def test_answers_name_the_classes():
    described = describe_responses(ProblemContract(task="binary", classes=["no", "yes"]), [])["items"]
    assert described["properties"]["prediction"]["enum"] == ["no", "yes"]
    assert list(described["properties"]["probabilities"]["properties"]) == ["no", "yes"]
    value = describe_responses(ProblemContract(task="regression", classes=None), [])["items"]
    assert value["properties"]["prediction"]["type"] == "number"
    assert value["required"] == ["prediction"]
