from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Column, Schema
from mlnb.serving.runtime.response_schemas import describe_column, describe_responses, describe_rows


def test_a_row_has_the_models_columns_and_no_others():
    schema = Schema(
        (
            Column("age", "number", nullable=True, integer=True, minimum=1.0, maximum=80.0, example=31.0),
            Column("sex", "category", nullable=False, categories=("f", "m"), example="f"),
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
    assert age["description"] == "whole, 1 to 80 in training; may be left out"
    assert row["properties"]["sex"]["description"] == "seen in training: f, m"
    assert described["example"] == [{"age": 3, "sex": "f"}]


def test_many_categories_are_truncated_and_dates_have_their_format():
    many = Column("town", "category", nullable=False, categories=tuple(f"t{n:04}" for n in range(1000)))
    assert describe_column(many)["description"].endswith("t0019 and 980 more")
    formats = [form.get("format") for form in describe_column(Column("day", "date"))["anyOf"]]
    assert formats[:2] == ["date-time", "date"]


def test_answers_name_the_classes():
    described = describe_responses(ProblemContract(task="binary", classes=["no", "yes"]), [])["items"]
    assert described["properties"]["prediction"]["enum"] == ["no", "yes"]
    assert list(described["properties"]["probabilities"]["properties"]) == ["no", "yes"]
    value = describe_responses(ProblemContract(task="regression", classes=None), [])["items"]
    assert value["properties"]["prediction"]["type"] == "number"
    assert value["required"] == ["prediction"]
