"""Project schema: what YAML could read otherwise, sample weights and pseudonyms."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.audit.project_schema import SchemaCheck, infer_schema, parse_schema, schema_text
from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.tables.type_inference import clean

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
