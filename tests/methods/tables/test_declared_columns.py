"""Column declarations: every reader applies them as training did, and contradictions are typed errors."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.codec import encode
from mlnb.errors import DataError, DeclarationError, ParameterError
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.test_evaluation import json_rows
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.tables.column_declarations import match_declarations, parse_declarations, read_declarations
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.formatted_columns import read_as_trained
from mlnb.methods.tables.personal_columns import protect_table
from mlnb.methods.tables.type_inference import clean
from mlnb.serving.batch.arrow_columns import read_column
from mlnb.stages.collect import fill_weights
from mlnb.stages.validate import type_table

CELLS = {  # kind -> cells, and those that may be declared missing
    "number": (["1.5", "2", "30", " 4 ", "-1", "1e3"], ["-1", "gone", "n.k."]),
    "category": (["007", "12", "red", "Blue ", "-1"], ["-1", "gone"]),
    "text": (["a long story", "two words", "once upon a time"], ["gone", "two words"]),
    "date": (["05/02/2024", "28/02/2023", "01/01/1900"], ["01/01/1900", "gone"]),
}


@st.composite
def tables(draw):
    """A raw table of text with a declaration for each column."""
    rows = draw(st.integers(3, 12))
    raw, columns = {}, {}
    for kind in draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4, unique=True)):
        values, missing = CELLS[kind]
        absent = tuple(draw(st.lists(st.sampled_from(missing), max_size=2, unique=True)))
        cells = draw(st.lists(st.sampled_from([*values, *absent, ""]), min_size=rows, max_size=rows))
        raw[f"a {kind}"] = cells
        columns[f"a {kind}"] = ColumnDeclaration(
            kind=kind, role=("feature",), missing=absent, format="%d/%m/%Y" if kind == "date" else ""
        )
    return pd.DataFrame(raw), columns


@given(tables())
@settings(max_examples=60)
def test_all_readers_encode_the_training_rows_alike(table):
    raw, declared = table
    typed, schema, _ = clean(raw, declarations=declared)
    assert [column.declared for column in schema.columns] == list(declared.values())
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    if not schema.features:
        return
    arrays = to_arrays(typed, schema)
    encoder = Encoder.fit(arrays, schema)
    trained = encoder.transform(arrays)
    batch, missing = {}, {}
    for column in schema.features:
        cells = pa.array(raw[column.name].tolist(), pa.string())
        read = read_column(cells, column, len(raw), text=True)
        assert read.bad is None, column
        batch[column.name] = read.values if read.codes is None else read.values[read.codes]
        missing[column.name] = read_as_trained(raw, schema)[column.name].replace("", None).isna().tolist()
    assert encoder.transform(batch).tobytes() == trained.tobytes()
    assert missing == {column.name: typed[column.name].isna().tolist() for column in schema.features}
    encode_row = compile_row(schema, encoder)
    for index, row in enumerate(json_rows(typed, schema)):
        assert encode_row(row).tobytes() == trained[index].tobytes()
    for index in range(len(raw)):  # values that requests can spell: declared missing ones too
        row = {name: raw[name][index] for name, each in declared.items() if each.kind in ("category", "text")}
        spelled = {**json_rows(typed.iloc[index : index + 1], schema)[0], **row}
        request = {name: value for name, value in spelled.items() if schema.column(name).role == "feature"}
        assert encode_row(request).tobytes() == trained[index].tobytes()


def test_a_declared_missing_date_is_missing_in_requests():
    declared = {"day": ColumnDeclaration(kind="date", format="%d/%m/%Y", missing=("01/01/1900",))}
    raw = pd.DataFrame({"day": ["01/01/1900", "03/01/2024", "04/01/2024"]})
    typed, schema, _ = clean(raw, declarations=declared)
    encoder = Encoder.fit(to_arrays(typed, schema), schema)
    expected = encoder.transform(to_arrays([{"day": None}], schema)).tobytes()
    assert encoder.transform(to_arrays([{"day": "1900-01-01"}], schema)).tobytes() == expected
    assert compile_row(schema, encoder)({"day": "1900-01-01"}).tobytes() == expected
    days = pd.DataFrame({"day": pd.to_datetime(["1900-01-01", "2024-01-03"])})
    assert clean(days, declarations=declared)[0]["day"].isna().tolist() == [True, False]


def test_declarations_override_inference():
    rows = 60
    raw = pd.DataFrame({
        "id": [f"C{i}" for i in range(rows)], "zip": [str(10000 + i % 7) for i in range(rows)],
        "code": [i % 4 for i in range(rows)], "when": [20240101 + i % 20 for i in range(rows)],
        "y": [str(i % 3) for i in range(rows)], "z": [str(i % 2) for i in range(rows)],
    })  # fmt: skip
    text = """
        [columns]
        id = {role = "feature"}
        zip = {kind = "category"}
        code = {kind = "category"}
        y = {kind = "category", role = "target"}
    """
    declared = match_declarations(parse_declarations(text), raw.columns)
    contract, schema, table, findings = type_table(raw, state(), {}, declarations=declared)
    kinds = {column.name: (column.kind, column.role) for column in schema.columns}
    assert kinds["id"] == ("category", "feature") and kinds["zip"][0] == kinds["code"][0] == "category"
    assert contract.task == "multiclass" and table["code"].tolist()[:2] == ["0", "1"]
    assert [finding.column for finding in findings if finding.check == "declared"] == ["id", "zip", "code", "y"]
    number = Declarations(columns={"z": ColumnDeclaration(kind="number", role=("target",), unit="kg")})
    contract = type_table(raw, state(), {}, declarations=number)[0]
    assert (contract.task, contract.unit) == ("regression", "kg")


@pytest.mark.parametrize(
    ("cells", "declared", "message"),
    [
        ([True, False], {"kind": "number"}, "declared number"),
        (["1 EUR", "2 USD"], {"kind": "number"}, "mixed currencies"),
        (["1", "x"], {"kind": "number", "missing": ("y",)}, "such as 'x' in row 1"),
        (["2024-01-31", "soon"], {"kind": "date"}, "declared date"),
        ([1.5, 2.0], {"kind": "date", "format": "%Y"}, "the source stores numbers"),
        ([1, 2], {"kind": "text"}, "declared text"),
        (["1 kg", "2 kg"], {"unit": "g"}, "its unit is 'g' and not 'kg'"),
        (["€1", "€2"], {"kind": "number", "unit": "USD"}, "its unit is 'USD' and not '€'"),
        (["1 %", "2 %"], {"unit": "kg"}, "its unit is 'kg' and not '%'"),
        (["a", "b"], {"unit": "kg"}, "holds category values"),
    ],
)
def test_values_that_contradict_the_declared_kind_are_an_error(cells, declared, message):
    with pytest.raises(DataError, match=message):
        clean(pd.DataFrame({"x": cells}), declarations={"x": ColumnDeclaration(**declared)})


@pytest.mark.parametrize("unit", ["EUR", "€", "euro"])
def test_a_currency_is_declared_by_its_sign_or_code(unit):
    for cells in (["€1", "€2"], ["1 EUR", "2 EUR"], ["1", "2"]):
        declared = {"x": ColumnDeclaration(kind="number", unit=unit)}
        if unit == "euro" and cells[0] == "1 EUR":
            continue
        assert clean(pd.DataFrame({"x": cells}), declarations=declared)[0]["x"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("stated", ["größe", "gro\u0308ße", " größe ", "\tgro\u0308ße"])
@pytest.mark.parametrize("present", ["größe", "gro\u0308ße"])
def test_names_are_those_of_the_table_however_they_are_spelled(stated, present):
    declared = Declarations(columns={stated: ColumnDeclaration(kind="category")})
    assert list(match_declarations(declared, [present, "x"]).columns) == [present]
    both = Declarations(columns={present: ColumnDeclaration(), f" {present}": ColumnDeclaration(kind="category")})
    with pytest.raises(DeclarationError, match="is declared twice"):
        match_declarations(both, [present, "x"])


@given(
    st.dictionaries(
        st.sampled_from(["kind", "role", "missing", "unit", "format", "personal"]),
        st.recursive(
            st.sampled_from(["number", "feature", "kg", "", "drop"]) | st.integers(-1, 1) | st.booleans() | st.floats(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=1),
            max_leaves=4,
        ),
    )
)
@settings(max_examples=150)
def test_values_of_any_type_are_a_declaration_or_an_error(values):
    def toml(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(toml, value)) + "]"
        return repr(value).lower() if not isinstance(value, str) else json.dumps(value)

    try:
        parse_declarations(f"[columns]\nx = {toml(values)}")
    except DeclarationError as error:
        assert "columns.toml" in str(error)


def test_list_columns_are_declared_once(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"emb": [[1.0, -1.0], [0.5, 2.0]], "odd": [[1.0], [1.0, 2.0]]}).to_parquet(path)
    raw, provenance = read_table(str(path))
    declared = parse_declarations("[columns]\nemb = {kind = 'vector', missing = -1}\nodd = {kind = 'ignore'}")
    matched = match_declarations(declared, provenance["columns"], provenance["unusable"])
    assert list(matched.columns) == ["emb[0]", "emb[1]"]
    assert clean(raw, declarations=matched.columns)[0].isna().sum().tolist() == [0, 1]
    for text, message in [
        ("emb = {kind = 'number'}", "expected the kind vector or ignore"),
        ("odd = {kind = 'vector'}", "all of one length"),
        ("om = {}", "is not in the table"),
    ]:
        with pytest.raises(DeclarationError, match=message):
            match_declarations(parse_declarations(f"[columns]\n{text}"), provenance["columns"], provenance["unusable"])


def test_a_file_is_read_as_toml_or_as_the_artifact_of_a_run(tmp_path):
    path = tmp_path / "columns.toml"
    assert read_declarations(path) == Declarations()
    path.write_text("[columns.'größe']\nunit = 'm²'", encoding="utf-8-sig")
    declared = read_declarations(path)
    assert declared.columns["größe"].unit == "m²"
    (tmp_path / "object").write_bytes(encode(declared))
    assert read_declarations(tmp_path / "object") == declared
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeclarationError, match="not UTF-8"):
        read_declarations(path)


def test_a_fairness_limit_holds_for_declared_columns():
    raw = pd.DataFrame({"x": range(60), "sex": ["f", "m"] * 30, "y": ["yes", "no", "no"] * 20})
    declared = Declarations(columns={"sex": ColumnDeclaration(role=("protected",))})
    problem = state("y", requirements={"fairness_limit": 0.1})
    assert type_table(raw, problem, {}, declarations=declared)[0].protected == ("sex",)
    with pytest.raises(ParameterError, match="no protected columns"):
        type_table(raw, problem, {})


@pytest.mark.parametrize(
    "declared",
    [
        ColumnDeclaration(kind="ignore"),
        ColumnDeclaration(kind="identifier"),
        ColumnDeclaration(role=("feature",)),
        ColumnDeclaration(role=("weight",)),
        ColumnDeclaration(personal="drop"),
    ],
)
@pytest.mark.parametrize("target", ["y", " y", "2"])
def test_a_target_that_is_declared_something_else_is_an_error(declared, target):
    raw = pd.DataFrame({"x": range(60), "y": ["yes", "no", "no"] * 20})
    with pytest.raises(DeclarationError, match=r"'y' has .* but is problem.target"):
        type_table(raw, state(target), {}, declarations=Declarations(columns={"y": declared}))


@pytest.mark.parametrize("name", ["self", "cls", "columns", "index", "data", "copy", "values", "\u0000", "a.b", "T"])
def test_any_name_may_have_any_role(name):
    rows = 60
    given = {
        "x": np.arange(rows) * 0.5,
        "mail": ["a@b.example", "c@d.example"] * 30,
        "w": 2,
        "y": ["yes", "no", "no"] * 20,
    }
    for old, role in (("y", "target"), ("w", "weight"), ("mail", "personal"), ("mail", "group")):
        raw = pd.DataFrame(given).rename(columns={old: name})
        declared = Declarations(columns={name: ColumnDeclaration(role=(role,), personal="drop" * (role == "personal"))})
        protected, declared = protect_table(raw, declared)
        contract, schema, table, _ = type_table(
            protected, state(name if old == "y" else "y"), {}, declarations=declared
        )
        assert len(table) == rows and (contract.target == name if old == "y" else contract.target == "y")
        assert name in schema.names and read_as_trained(raw, schema)[name].notna().all() == (role != "personal")
    weighted = Declarations(columns={name: ColumnDeclaration(role=("weight",))})
    logged = pd.DataFrame({name: [1.0, np.nan, 3.0]})
    assert fill_weights(logged, weighted)[name].tolist() == [1.0, 2.0, 3.0]


def test_numbers_are_declared_missing_whatever_their_type():
    declared = {"x": ColumnDeclaration(missing=("-1", "0.5"))}
    for cells in ([-1, 2], [-1.0, 2.0], ["-1", "2"], np.array([0.5, 2.0], dtype=np.float32)):
        assert clean(pd.DataFrame({"x": cells}), declarations=declared)[0]["x"].isna().tolist() == [True, False]
