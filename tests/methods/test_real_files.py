"""Realistic files: parsed, typed and assigned roles, with a finding for each decision."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.evaluation.test_evaluation import json_rows
from mlnb.methods.problem.problem_contract import encode_target, state
from mlnb.methods.tables.columns import check_rows, column_array, to_arrays
from mlnb.methods.tables.data_sources import read_table
from mlnb.stages.validate import audit_table, stop_on_errors, type_table

ROWS = 120
random = np.random.default_rng(0)
LABELS = random.choice(["yes", "no"], ROWS)
X = [f"{v:.3f}" for v in random.random(ROWS)]
DAYS = [datetime(2020, 1, 1) + timedelta(hours=int(h)) for h in random.integers(0, 20_000, ROWS)]


@pytest.fixture
def read(tmp_path):
    """A function from a file's content to its schema, typed table and findings."""

    def run(content, target="y", leakage="drop", problem=None, **options):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        raw, provenance = read_table(str(path), **options)
        contract, schema, table, findings = type_table(raw, problem or state(target), provenance)
        schema, doubts, _ = audit_table(table, schema, contract, leakage)
        return schema, table, stop_on_errors(findings + doubts, schema)

    return run


def text(separator=",", **columns):
    """A file's text with the columns, and `y` last."""
    columns = {**columns, "y": LABELS}
    lines = [separator.join(columns)]
    return "\n".join(lines + [separator.join(map(str, row)) for row in zip(*columns.values(), strict=True)]) + "\n"


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (text("^", x=X), ["x", "y"]),
        (text("|", x=X), ["x", "y"]),
        (text(" ", x=X, z=X[::-1]), ["x", "z", "y"]),
        ("Sales of 2024\n\n" + text(x=X, z=X[::-1]), ["x", "z", "y"]),
        ("# exported by hand\n" + text(x=X), ["x", "y"]),
        ("sep=;\n" + text(";", x=X), ["x", "y"]),
        (text(x=X).replace("\n", "\r\n").encode("utf-8-sig"), ["x", "y"]),
        (text("\t", größe=X).encode("utf-16"), ["größe", "y"]),
        (text("|", größe=X).encode("utf-16-le"), ["größe", "y"]),
        (text(z=X, x=[f'"{i % 4}\nlines, ""quoted"""' for i in range(ROWS)]), ["z", "x", "y"]),
        ("x,y\n" + "\n".join(f"{i},{X[i]},{LABELS[i]}" for i in range(ROWS)), ["column_1", "x", "y"]),
        (text(x=X, z=X[::-1]).replace("y\n", "y,\n", 1), ["x", "z", "y"]),
        (text(";", x=X, z=X[::-1]).replace("y\n", "y;;;\n", 1), ["x", "z", "y"]),
        ("\ufeff\ufeff" + text(**{"\u200b x\u200e ": X, "z\u00a0\u2060": X[::-1]}), ["x", "z", "y"]),
    ],
)  # fmt: skip
def test_files_are_parsed_into_columns(read, content, columns):
    schema, table, _ = read(content)
    assert list(schema.names) == columns and len(table) == ROWS


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [
        (lambda i: f"{i % 9} kg", "number"),
        (lambda i: f"({i % 9}.5)" if i % 3 else f"{i % 7}.5", "number"),
        (lambda i: f"${i % 9},{i % 900 + 100}.50".replace(",", "."), "category"),
        (lambda i: f"{i % 9 + 1}%", "number"),
        (lambda i: "." if i % 3 else f"{i}.5", "number"),
        (lambda i: f"1e{i % 5}", "number"),
        (lambda i: f"\u2212{i % 9}.5", "number"),
        (lambda i: f"{i % 24:02d}:{i * 7 % 60:02d}:{i * 11 % 60:02d}", "number"),
        (lambda i: f"{i % 12 + 1}:{i * 7 % 60:02d} {'AP'[i % 2]}M", "number"),
        (lambda i: f"{i % 7}:{i % 5}", "category"),
        (lambda i: f"e{i % 50:05d}", "category"),
        (lambda i: f"+4930{1234567 + i % 40}", "category"),
        (lambda i: f"{i % 70:05d}", "category"),
        (lambda i: "TF"[i % 2], "boolean"),
        (lambda i: "01"[i % 2], "number"),
        (lambda i: f"18-{25 + i % 3}", "category"),
        (lambda i: f"city {i % 60}", "category"),
        (lambda i: f"the {['red', 'blue'][i % 2]} car of day {i} was slow", "text"),
    ],
)
def test_column_types_are_inferred(read, spelling, kind):
    schema, *_ = read(text("\t", c=[spelling(i) for i in range(ROWS)], x=X), separator="tab")
    assert schema.column("c").kind == kind


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d %b %Y",
        "%d%b%Y",
        "%Y%m%d",
        "%d/%m/%y",
        "%A %d %B %Y",
        "%Y/%m/%d",
        "%b %d, %Y",
    ],
)
def test_dates_in_many_formats(read, form):
    _, table, _ = read(text("\t", day=[day.strftime(form) for day in DAYS], x=X))
    assert table["day"].dt.date.tolist() == [day.date() for day in DAYS]


@pytest.mark.parametrize("form", ["%m/%Y", "%m-%Y", "%Y/%m", "%b %Y"])
def test_months_in_many_formats(read, form):
    _, table, _ = read(text("\t", month=[day.strftime(form) for day in DAYS], x=X))
    assert table["month"].dt.strftime("%Y-%m-%d").tolist() == [f"{day:%Y-%m}-01" for day in DAYS]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("point", [".", ","])
def test_numbers_that_can_be_read_both_ways_are_a_warning(read, separator, point):
    cells = [f'"{i + 1}{point}{i * 7 % 900 + 100}"' for i in range(ROWS)]
    *_, findings = read(
        text(separator, rent=cells, kind=LABELS[::-1]), separator={"\t": "tab"}.get(separator, separator)
    )
    (warning,) = [each for each in findings if each.check == "number format" and each.severity == "warning"]
    assert "ingest.decimal or ingest.thousands" in warning.action


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M"])
def test_times_in_many_formats(read, form):
    _, table, _ = read(text(day=[day.strftime(form) for day in DAYS], x=X))
    assert table["day"].tolist() == DAYS


def test_times_without_a_date_are_seconds(read):
    clocks = ["?" if i % 10 == 0 else "noon" if i == 1 else f"{i % 24}:{i % 60:02d}:05" for i in range(ROWS)]
    _, table, findings = read(text(at=clocks, x=X))
    assert table["at"].isna().sum() == 13 and table["at"].iloc[[2, 119]].tolist() == [7325.0, 86345.0]
    assert {"times", "mixed types", "missing"} <= {f.check for f in findings if f.column == "at"}


def test_a_sentinel_is_missing_in_a_request_too(read):
    schema, table, findings = read(text(age=[-999 if i % 9 == 0 else i % 50 for i in range(ROWS)], x=X))
    assert schema.column("age").sentinels == (-999.0,) and table["age"].isna().sum() == 14
    assert ("sentinel", "age") in {(f.check, f.column) for f in findings}
    encoder = Encoder.fit(to_arrays(table, schema), schema)
    encode = compile_row(schema, encoder)
    assert np.isnan(encode({"age": -999, "x": 0.5})[0]) and encode({"age": 7, "x": 0.5})[0] == 7.0


def test_dates_out_of_range_are_missing_everywhere(read):
    odd = ["0001-01-01", "1500-01-01", "9999-12-31"]
    values = [odd[i % 3] if i % 10 == 0 else day.date().isoformat() for i, day in enumerate(DAYS)]
    schema, table, findings = read(text(day=values, x=X))
    assert table["day"].isna().sum() == 12 and "dates out of range" in {f.check for f in findings}
    rows = [{"day": value, "x": 1.0} for value in odd]
    assert check_rows(rows, schema) == [] and np.isnan(to_arrays(rows, schema)["day"]).all()
    late = pd.DataFrame({"day": pd.to_datetime(odd, format="ISO8601").astype("datetime64[us]")})
    assert np.isnan(column_array(late, schema.column("day"))).all()


def test_ids_groups_copies_and_constants_are_reported(read):
    columns = {"id": range(ROWS), "customer_id": [f"C{i % 30}" for i in range(ROWS)]}
    columns["mail"] = [f"u{i}@x.org" for i in range(ROWS)]
    columns |= {"always": ["a"] * ROWS, "none": [""] * ROWS, "x": X, "again": X}
    schema, _, findings = read(text(**columns))
    roles = {c.name: c.role for c in schema.columns}
    assert roles == {"id": "identifier", "customer_id": "feature", "mail": "identifier", "always": "dropped",
                     "none": "dropped", "x": "feature", "again": "feature", "y": "target"}  # fmt: skip
    by_check = {(f.check, f.column): f for f in findings}
    assert "consider split.group=customer_id" in by_check["split", "customer_id"].action
    assert ("copies", "again") in by_check and ("constant", "always") in by_check and ("empty", "none") in by_check


def test_infinite_values_are_reported_and_become_missing(read):
    _, table, findings = read(text(a=["inf", "-inf", "nan", "1.5"] * 30, x=X))
    assert table["a"].isna().sum() == 90 and not np.isinf(table["a"]).any()
    assert {(f.check, f.rows) for f in findings if f.column == "a"} >= {("infinite", 60), ("missing", 30)}


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["a"] * ROWS, "one value only"), ([""] * ROWS, "all are missing"), (["a"] + ["b"] * (ROWS - 1), "too few rows")],
)
def test_targets_without_information_are_refused(read, labels, message):
    content = "x,z,y\n" + "\n".join(f"{x},{i % 7},{y}" for i, (x, y) in enumerate(zip(X, labels, strict=True)))
    with pytest.raises(ValueError, match=message):
        read(content)


@pytest.mark.parametrize("leakage", ["drop", "stop", "keep"])
def test_a_leak_is_named_and_treated_as_set(read, leakage):
    content = text(alive=["dead" if label == "no" else "alive" for label in LABELS], x=X)
    if leakage == "stop":
        with pytest.raises(ValueError, match="alive: alone it predicts 'y'"):
            read(content, leakage=leakage)
        return
    schema, _, findings = read(content, leakage=leakage)
    assert (schema.column("alive").role == "feature") == (leakage == "keep")
    assert next(f for f in findings if f.check == "leakage").column == "alive"


def test_rows_of_the_file_are_valid_requests(read):
    columns = {"a": [f"{i} kg" for i in range(ROWS)], "c": [day.strftime("%d.%m.%Y") for day in DAYS]}
    columns |= {"b": ["?" if i % 9 == 0 else f"b{i % 40}" for i in range(ROWS)], "x": X}
    columns["d"] = ["yes" if i % 3 else "" for i in range(ROWS)]
    content = text("\t", **columns)
    schema, table, _ = read(content)
    y = encode_target(table["y"], ProblemContract(task="binary", classes=["no", "yes"], target="y"))
    encoder = Encoder.fit(to_arrays(table, schema), schema, y, classes=2)
    batch, encode = encoder.transform(to_arrays(table, schema)), compile_row(schema, encoder)
    rows = json_rows(table, schema)
    assert check_rows(rows, schema) == []
    assert all(encode(row).tobytes() == batch[i].tobytes() for i, row in enumerate(rows))


def test_more_columns_than_rows_are_supported(read):
    wide = pd.DataFrame(random.normal(size=(200, 500)).round(3)).rename(columns=lambda j: f"x{j}")
    content = wide.assign(y=random.choice(["a", "b"], 200)).to_csv(index=False)
    schema, table, findings = read(content)
    assert len(schema.features) == 500 and len(table) == 200 and len(findings) < 60
