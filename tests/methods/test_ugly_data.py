"""Files of users: each gives a training table or a specific error."""

import gzip
import sqlite3
import zipfile

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.problem.problem_contract import encode_target, state
from mlnb.methods.tables.columns import check_rows, to_arrays
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.training_data.data_splits import choose_kind, make_folds, split_rows
from mlnb.stages.validate import audit_table, stop_on_errors, type_table

ROWS = 120


@pytest.fixture
def prepare(tmp_path):
    """A function from a file's content to contract, schema, table and findings, as the stages do it."""

    def run(content, target="y", name="data.csv", leakage="drop", duplicates="keep", problem=None, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        raw, provenance = read_table(str(path), **options)
        contract, schema, table, findings = type_table(raw, problem or state(target), provenance, duplicates)
        schema, doubts, _ = audit_table(table, schema, contract, leakage)
        return contract, schema, table, stop_on_errors(findings + doubts, schema)

    return run


def csv(separator=",", **columns):
    """The text of a file with these columns; `y` is added when it is not among them."""
    columns.setdefault("x", [str(i * 7 % 31) for i in range(ROWS)])
    columns.setdefault("y", ["yes" if i * 5 % 7 < 3 else "no" for i in range(ROWS)])
    lines = [separator.join(columns)] + [separator.join(row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def checks(findings, column=None):
    """The names of the checks that spoke of a column."""
    return {f.check for f in findings if f.column == column}


# Files that cannot be read


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "data.csv: the file is empty"),
        ("\n\n  \n", "is empty"),
        ("x,y\n", "has a header (x, y) and no rows"),
        ("x,y,x\n1,2,3\n", "2 columns are named 'x' (columns 1, 3)"),
        ("x,y\n1,2\n1,2,3\n4,5\n6,7\n8,9\n", "line 3 has 3 cells, the first 2"),
        (csv().replace("x,y", "x,z"), "there is no target column 'y'"),
    ],
)
def test_unusable_files_are_refused(prepare, content, message):
    with pytest.raises(ValueError) as caught:
        prepare(content)
    assert message in str(caught.value)


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "churn.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileNotFoundError, match=r"there is no file 'chrun.csv'; did you mean 'churn.csv'\?"):
        read_table(str(tmp_path / "chrun.csv"))


def test_a_wrong_separator_is_refused(prepare):
    with pytest.raises(ValueError, match="look cut by ';'"):
        prepare(csv(";"), separator=",")
    assert prepare(csv(";"))[1].features[0].name == "x"


# Targets that cannot be learned


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["yes"] * ROWS, {}, "has one value only, 'yes'"),
        ([""] * ROWS, {}, "all are missing"),
        (["yes"] + ["no"] * (ROWS - 1), {}, "too few rows of 'yes' (1)"),
        ([f"name {i}" for i in range(ROWS)], {}, "120 different texts in 120 rows"),
        ([str(2**53 + 1 + i) for i in range(ROWS)], {}, "120 different whole numbers beyond 2**53"),
        (["a", "b"] * (ROWS // 2), {"task": "regression"}, "holds texts such as 'a'"),
        (["a", "b", "c"] * (ROWS // 3), {"task": "binary"}, "state multiclass"),
        (["a", "b", "c"] * (ROWS // 3), {"metric": "rmse"}, "expected numbers"),
        (["a", "b"] * (ROWS // 2), {"positive": "c"}, "positive class 'c' is not in the target"),
    ],
)
def test_unusable_targets_are_refused(prepare, labels, options, message):
    with pytest.raises(ValueError) as caught:
        prepare(csv(y=labels), problem=state("y", **options))
    assert message in str(caught.value)


def test_unknown_target_names_the_nearest(prepare):
    with pytest.raises(ValueError, match=r"no target column 'Chrun'; did you mean 'Churn'\?"):
        prepare(csv(Churn=["a", "b"] * (ROWS // 2)), target="Chrun")


def test_target_by_position_without_header(prepare):
    rows = "\n".join(f"{i * 7 % 31},{i % 5}.5,{1 + (i % 3 == 0)}" for i in range(ROWS))
    contract, schema, *_ = prepare(rows, target="3")
    assert contract.target == "column_3" and contract.classes == ("1", "2")
    assert contract.sources["target"] == "stated: column 3 of 3"
    assert [c.name for c in schema.features] == ["column_1", "column_2"]


def test_rows_without_target_and_lone_classes_are_dropped(prepare):
    labels = ["", "rare"] + ["a", "b", "c"] * 39 + ["a"]
    contract, _, table, findings = prepare(csv(y=labels))
    assert contract.classes == ("a", "b", "c") and len(table) == ROWS - 2
    assert {"missing target", "rare classes"} <= checks(findings, "y")
    assert np.bincount(encode_target(table["y"], contract)).tolist() == [40, 39, 39]


# Columns


def test_every_missing_value_marker(prepare):
    words = ["?", "NA", "N/A", "null", "None", "-", "", " ", "nan", "#N/A"]
    values = words + [str(i) for i in range(ROWS - len(words))]
    _, schema, table, findings = prepare(csv(age=values))
    assert schema.column("age").kind == "number" and table["age"].isna().sum() == len(words)
    assert "missing" in checks(findings, "age")


def test_charges_with_blanks_are_numbers(prepare):
    values = [" " if i % 40 == 0 else f"{i}.95" for i in range(ROWS)]
    assert prepare(csv(TotalCharges=values))[1].column("TotalCharges").kind == "number"


@pytest.mark.parametrize(
    ("spelled", "first"),
    [
        ([f"{i},5" for i in range(ROWS)], 0.5),
        ([f"1.{i % 900 + 100},25" for i in range(ROWS)], 1100.25),
        ([f"{i + 1} %" for i in range(ROWS)], 1.0),
        ([f"€ {i + 1}.50" for i in range(ROWS)], 1.5),
    ],
)
def test_numbers_in_other_spellings(prepare, spelled, first):
    _, schema, table, findings = prepare(csv(";", price=spelled))
    assert schema.column("price").kind == "number" and table["price"].iloc[0] == first
    assert "number format" in checks(findings, "price")


def test_thousands(prepare):
    values = [f'"{1 + i % 9},{100 + i}"' for i in range(ROWS)]
    assert prepare(csv(price=values))[2]["price"].iloc[0] == 1100.0


def test_mixed_types(prepare):
    half = [str(i) if i % 2 else f"code {i % 4}" for i in range(ROWS)]
    mostly = ["oops" if i == 7 else str(i * i) for i in range(ROWS)]
    _, schema, table, findings = prepare(csv(half=half, mostly=mostly))
    assert schema.column("half").kind == "category" and "mixed types" in checks(findings, "half")
    assert schema.column("mostly").kind == "number" and table["mostly"].isna().sum() == 1
    assert [f.rows for f in findings if f.check == "mixed types" and f.column == "mostly"] == [1]


def test_infinite_values(prepare):
    values = ["inf", "-Infinity"] + [str(i / 7) for i in range(ROWS - 2)]
    _, schema, table, findings = prepare(csv(ratio=values))
    assert np.isfinite(table["ratio"].dropna()).all() and table["ratio"].isna().sum() == 2
    assert "infinite" in checks(findings, "ratio") and schema.column("ratio").maximum < 100


def test_identifiers_of_digits_keep_leading_zeros(prepare):
    codes, accounts = [f"0{1234 + i % 7}" for i in range(ROWS)], [str(2**60 + i % 5) for i in range(ROWS)]
    _, schema, table, _ = prepare(csv(zip=codes, account=accounts))
    assert schema.column("zip").kind == schema.column("account").kind == "category"
    assert table["zip"].iloc[0] == "01234" and table["account"].iloc[1] == str(2**60 + 1)


def test_booleans_and_dates(prepare):
    flags = [("Yes", "no", "")[i % 3] for i in range(ROWS)]
    days = [
        "2024-02-30" if i == 3 else "9999-12-31" if i == 5 else f"2024-0{1 + i % 9}-{1 + i % 28:02d}"
        for i in range(ROWS)
    ]
    german = [f"{1 + i % 28}.{1 + i % 12}.2023" for i in range(ROWS)]
    _, schema, table, findings = prepare(csv(flag=flags, since=days, seit=german))
    assert {c.name: c.kind for c in schema.features} == {
        "flag": "boolean",
        "since": "date",
        "seit": "date",
        "x": "number",
    }
    assert table["flag"].isna().sum() == 40 and table["since"].isna().sum() == 2 and table["seit"].iloc[0].year == 2023
    assert "dates out of range" in checks(findings, "since")


def test_columns_that_are_no_features(prepare):
    hidden = {
        "CustomerID": [f"C-{i * 37:05d}" for i in range(ROWS)],
        "row": [str(i) for i in range(ROWS)],
        "always": ["Q"] * ROWS,
        "nothing": [""] * ROWS,
    }
    _, schema, _, findings = prepare(csv(**hidden))
    assert [c.name for c in schema.features] == ["x"]
    assert {c.role for c in schema.columns if c.name in hidden} == {"identifier", "dropped"}
    assert all(checks(findings, name) for name in hidden) and all(schema.column(name).reason for name in hidden)


def test_no_feature_left(prepare):
    with pytest.raises(ValueError, match="no feature is left: x"):
        prepare(csv(x=["1"] * ROWS))


def test_column_names_in_any_script(prepare):
    names = {
        "größe in m": [str(i % 13) for i in range(ROWS)],
        "名前 💡": ["a", "b", "c"] * 40,
        "a'b\\c": ["1", "2"] * 60,
    }
    _, schema, table, _ = prepare(csv(**names))
    assert set(names) < set(table.columns)
    assert check_rows([{"größe in m": 3, "名前 💡": "a", "a'b\\c": 1, "x": 2}], schema) == []


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8-sig", "größe"), ("latin-1", "größe"), ("utf-16", "größe"), ("cp1252", "€")]
)
def test_encodings(prepare, encoding, name):
    _, schema, _, _ = prepare(csv(**{name: [str(i % 13) for i in range(ROWS)]}).encode(encoding))
    assert schema.column(name).kind == "number"


def test_ten_thousand_categories(prepare):
    n = 20_000
    lines = "\n".join(f"c{i % 10_000},{i % 17},{'yes' if i % 3 else 'no'}" for i in range(n))
    _, schema, table, findings = prepare("city,n,y\n" + lines)
    column = schema.column("city")
    assert column.kind == "category" and len(column.categories) == 1000 and table["city"].nunique() == 10_000
    assert "many categories" in checks(findings, "city")


def test_target_leakage_is_reported(prepare):
    y = ["yes" if i * 5 % 7 < 3 else "no" for i in range(ROWS)]
    leaks = {
        "alive": ["1" if v == "yes" else "0" for v in y],
        "fee": [str((v == "yes") * 20 + i / 1000) for i, v in enumerate(y)],
    }
    assert [c.name for c in prepare(csv(y=y, **leaks))[1].features] == ["x"]
    assert len(prepare(csv(y=y, **leaks), leakage="keep")[1].features) == 3
    with pytest.raises(ValueError, match=r"the data cannot be used:\n.*alive.*\n.*fee"):
        prepare(csv(y=y, **leaks), leakage="stop")


def test_duplicate_rows_are_reported(prepare):
    content = csv() + "\n".join(csv().splitlines()[1:21]) + "\n"
    assert "duplicates" in checks(prepare(content)[3])
    once = prepare(content, duplicates="drop")[2]
    assert not once.duplicated().any() and len(once) < len(prepare(content)[2])


# Other sources, the same table


def test_every_source_gives_the_same_table(tmp_path, prepare):
    contract, _, expected, _ = prepare(csv(c=["a", "b", "?"] * 40))
    frame = pd.read_csv(tmp_path / "data.csv", na_values="?")
    text = csv(c=["a", "b", "?"] * 40).encode()
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("d.csv", text)
    frame.to_parquet(tmp_path / "d.parquet")
    frame.to_json(tmp_path / "d.jsonl", orient="records", lines=True)
    frame.to_excel(tmp_path / "d.xlsx", index=False)
    database = sqlite3.connect(tmp_path / "d.db")
    frame.to_sql("d", database, index=False)
    database.close()
    for name in ["d.csv.gz", "d.zip", "d.parquet", "d.jsonl", "d.xlsx", "d.db::d"]:
        source = f"sqlite:///{tmp_path}/{name}" if "::" in name else str(tmp_path / name)
        raw, provenance = read_table(source)
        again, _, table, _ = type_table(raw, state("y"), provenance)
        pd.testing.assert_frame_equal(table, expected, check_dtype=False, obj=name)
        assert again == contract and str(tmp_path) not in str(provenance)


def test_raw_table_survives_parquet_byte_for_byte(tmp_path):
    records = [{"a": 1, "b": "x", "c": [1, 2], "d": None}, {"a": 2.5, "b": 7, "c": {"k": 1}, "d": True}]
    (tmp_path / "mixed.jsonl").write_text("\n".join(pd.Series(r).to_json() for r in records))
    written = []
    for name in ("one.parquet", "two.parquet"):
        raw, _ = read_table(str(tmp_path / "mixed.jsonl"))
        raw.to_parquet(tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1] and raw["b"].tolist() == ["x", "7"] and raw["c"].tolist() == ["[1, 2]", '{"k": 1}']


# On to the split and to requests


def test_small_data_splits(prepare):
    content = "x,y\n" + "\n".join(f"{i * 7 % 5},{'ab'[i % 2]}" for i in range(8))
    contract, schema, table, findings = prepare(content)
    kind, _ = choose_kind(contract, schema)
    training, test = split_rows(table, contract, kind)
    folds, why = make_folds(table.iloc[training], contract, kind)
    assert len(test) == 2 and len(training) == 6 and folds.max() == 2 and "3 folds instead of 5" in why
    assert "small" in checks(findings)


def test_a_row_of_the_file_can_be_sent(prepare):
    _, schema, table, _ = prepare(
        csv(flag=["Yes", "No"] * 60, id=[f"C{i * 3}" for i in range(ROWS)], c=["a", "b", "c"] * 40)
    )
    row = {"x": 3, "flag": "No", "id": "C9", "c": "never seen", "y": "yes"}
    assert check_rows([row], schema) == []
    arrays = to_arrays([row], schema)
    assert arrays["flag"].tolist() == [0.0] and arrays["c"].tolist() == ["never seen"]
    whole = to_arrays(table, schema)
    alone = [to_arrays(table.iloc[[i]], schema) for i in range(len(table))]
    for name, values in whole.items():
        assert values.tolist() == [a[name][0] for a in alone]
