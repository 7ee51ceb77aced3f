"""Project schema: what YAML could read otherwise, sample weights and pseudonyms."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.audit.project_schema import SchemaCheck, conforming_rows, infer_schema, parse_schema, schema_text
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.tables.type_inference import clean
from mlnb.stages.validate import check_project_schema, keep_identifiers, type_table

ROWS = 40
WORDS = ("no", "null", "~", "=", "0x1F", "1e3", "1.0", "2024-01-01", "12:30:00", "a: b", "- x", "#c", "'q'", '"', "\n",
         "&a", "*a", "!!int 3", "{x}", "|", "%", "\u2028", "\x85", "😀", "self", "columns", "007")  # fmt: skip


def violations(raw, declared, later):
    """Violations of a later table against the schema of a table, written as YAML and read again."""
    table, schema, _ = clean(raw, declarations=declared)
    check = SchemaCheck(parse_schema(schema_text(infer_schema(table, schema))))
    check.add(clean(later, declarations=declared)[0])
    return [finding.column for finding in check.findings()]


@pytest.mark.parametrize("word", WORDS)
def test_names_and_categories_of_any_spelling_are_kept(word):
    declared = {word: ColumnDeclaration(kind="category")}
    raw = pd.DataFrame({word: [word, "zz"] * (ROWS // 2), "x": np.arange(ROWS) * 0.5})
    assert violations(raw, declared, raw) == []
    raw[word] = raw[word].replace("zz", "another")
    assert violations(raw, declared, pd.DataFrame({word: ["zz"] * ROWS, "x": raw["x"]})) == [word]


def test_weights_are_at_least_0_and_new_persons_are_no_violation():
    declared = {
        "w": ColumnDeclaration(role=("weight",)),
        "who": ColumnDeclaration(personal="pseudonymize", key="k"),
        "y": ColumnDeclaration(kind="category"),
    }
    raw = pd.DataFrame({"w": [1.0, 2.5] * 20, "who": ["pn-" + "0" * 32, "pn-" + "1" * 32] * 20, "y": ["a", "b"] * 20})
    assert violations(raw, declared, raw.assign(who="pn-" + "2" * 32, w=0.0)) == []
    assert violations(raw, declared, raw.assign(w=-1.0)) == ["w"]
    assert violations(raw, declared, raw.assign(w=np.nan, y="c")) == ["w", "y"]


DAYS = pd.Timestamp.now().normalize() - pd.to_timedelta(np.arange(ROWS), unit="D")


def customers(**columns):
    """Typed rows with an identifier, a number, a category and a recent date."""
    raw = {"id": [f"C{n}" for n in range(ROWS)], "x": np.arange(ROWS) * 0.5, "plan": ["a", "b"] * 20, "day": DAYS}
    return clean(pd.DataFrame(raw | columns))[0]


@pytest.fixture(scope="module")
def owned():
    """The project's schema of the customers, the pair of plan and date unique, too."""
    table = customers()
    expected = infer_schema(table, clean(pd.DataFrame(table))[1])
    expected.unique = ["plan", "day"]
    return parse_schema(schema_text(expected))


def test_what_holds_for_a_file_is_not_required_of_logged_rows(owned):
    twice = pd.concat([customers(), customers().tail(10)], ignore_index=True)
    check = SchemaCheck(owned)
    check.add(twice)
    assert "id" in [finding.column for finding in check.findings()]
    retained, findings = conforming_rows(twice, owned)
    assert len(retained) == ROWS + 10 and findings == []
    old = twice[twice["day"] < DAYS[5]].reset_index(drop=True)
    assert conforming_rows(old, owned)[1] == []


def test_logged_rows_that_violate_the_schema_are_left_out(owned):
    rows = customers(x=np.r_[900.0, np.arange(ROWS - 1) * 0.5], plan=["a"] + ["b"] * 37 + ["new", "new"])
    retained, findings = conforming_rows(rows, owned)
    assert retained["id"].tolist() == [f"C{n}" for n in range(1, ROWS - 2)] and retained.index[-1] == ROWS - 4
    assert [(one.column, one.severity, one.rows) for one in findings] == [("plan", "warning", 2), ("x", "warning", 1)]
    assert all(one.action == "rows left out of the training data" for one in findings)


def test_a_schema_of_other_data_is_an_error(owned):
    retained, (finding,) = conforming_rows(customers(plan=["new"] * 21 + ["a"] * 19), owned)
    assert len(retained) == ROWS and finding.severity == "error"
    _, (finding,) = conforming_rows(customers().drop(columns="x"), owned)
    assert finding.severity == "error" and finding.message == "found no column 'x', expected the column"


def test_a_prediction_log_may_have_customers_again():
    raw = pd.DataFrame(
        {
            "id": [f"C{i}" for i in range(60)],
            "months": [str(1 + 7 * i % 40) for i in range(60)],
            "Churn": ["Yes" if i % 3 == 0 else "No" for i in range(60)],
        }
    )
    contract, schema, table, _ = type_table(raw, state("Churn"), {})
    declared = {"Churn": ColumnDeclaration(role=("target",)), "id": ColumnDeclaration(role=("feature",))}
    stated = type_table(raw, state(), {}, declarations=Declarations(columns=declared))[1]
    assert stated.target.name == "Churn" and stated.column("id").role == "feature"
    twice = pd.concat([raw, raw.head(5)], ignore_index=True)
    assert len(type_table(twice, state("Churn"), {}, "drop")[2]) == 60
    again, logged = pd.concat([raw, raw.tail(40)], ignore_index=True), {"logged": 40, "identifiers": ["id"]}
    assert type_table(again, state("Churn"), {})[1].column("id").role == "feature"
    contract, schema_again, table_again, _ = type_table(again, state("Churn"), logged)
    assert schema_again.column("id").role == "identifier" and keep_identifiers(schema_again, logged) == schema_again
    checked = (table_again, schema_again, contract, infer_schema(table, schema))
    assert check_project_schema(*checked, {})[2][0].message.endswith("expected no value twice")
    assert check_project_schema(*checked, logged)[2] == []
