"""Jobs: the service's numbers for any file, however often the job is killed, and no lost row."""

import gzip
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from waiting import wait_for

from mlnb.errors import ServingError, UsageError
from mlnb.serving.batch import batch_job, input_units


@pytest.mark.parametrize(
    "name",
    [
        "rows.csv",
        "packed.csv.gz",
        "semicolons.csv",
        "rows.parquet",
        "rows.feather",
        "rows.orc",
        "rows.jsonl",
        "rows.xlsx",
    ],
)
def test_numbers_equal_the_service_s_bit_for_bit(name, score, files, rows, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(input_units, "BLOCK", 20_000)  # many units
    monkeypatch.setattr(batch_job, "PART_ROWS", 900)  # many parts
    counts = score([files / name], tmp_path / "out.parquet", keep=("number",))
    assert (counts.read, counts.scored, counts.bad) == (len(rows), len(rows), 0)
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["row", "number", "prediction", "probability no", "probability yes"]
    assert [field.nullable for field in out.schema] == [False, True, False, False, False]
    assert "DELTA_BINARY_PACKED" in pq.read_metadata(tmp_path / "out.parquet").row_group(0).column(0).encodings
    assert out["row"].to_pylist() == list(range(len(rows))) == [int(n) for n in out["number"].to_pylist()]
    assert out["probability yes"].to_pylist() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_many_files_by_glob_and_url(score, files, rows, expected):
    memory = fsspec.filesystem("memory")
    for part in range(3):
        memory.pipe(f"/in/part-{part}.csv", (files / "rows.csv").read_bytes())
    counts = score(["memory://in/part-*.csv"], "memory://out/all.parquet")
    assert counts.scored == 3 * len(rows)
    with memory.open("/out/all.parquet") as file:
        out = pd.read_parquet(file)
    assert out["file"].value_counts().tolist() == [len(rows)] * 3
    assert out["probability yes"].tolist() == expected * 3
    assert out["row"].tolist() == list(range(len(rows))) * 3


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("age", "forty", "'forty'"),
        ("ok", "perhaps", "'perhaps'"),
        ("day", "2020-13-01", "'2020-13-01'"),
        ("age", "inf", "inf"),
    ],
)
def test_a_bad_row_stops_the_job_or_goes_to_quarantine(column, value, shown, score, rows, tmp_path, expected):
    table = pd.DataFrame(rows).astype({column: object})
    for row in (100, 2000):
        table.loc[row, column] = value
    table.to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(UsageError, match=rf"in.csv, row 100, column '{column}'.*{shown}.*--quarantine"):
        score([tmp_path / "in.csv"], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    bad = tmp_path / "bad.jsonl"
    counts = score([tmp_path / "in.csv"], tmp_path / "out.parquet", quarantine=str(bad))
    assert (counts.read, counts.scored, counts.bad) == (len(rows), len(rows) - 2, 2)
    lines = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [(line["row"], line["column"]) for line in lines] == [(100, column), (2000, column)]
    assert lines[0]["values"]["town"] == rows[100]["town"]
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert out["probability yes"].tolist() == [p for row, p in enumerate(expected) if row not in (100, 2000)]


def test_bad_rows_of_several_files_name_their_file(score, rows, tmp_path):
    for name, row in (("a", 3), ("b", 5)):
        table = pd.DataFrame(rows[:10]).astype({"age": object})
        table.loc[row, "age"] = "forty"
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    bad = tmp_path / "bad.jsonl"
    counts = score([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "out.parquet", quarantine=str(bad))
    assert (counts.read, counts.bad) == (20, 2)
    lines = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [(Path(line["file"]).name, line["row"], line["column"]) for line in lines] == [
        ("a.csv", 3, "age"),
        ("b.csv", 5, "age"),
    ]


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("nothing-*.csv", "out.parquet", "there is no file to read"),
        ("rows.csv", "out.xlsx", "found the suffix '.xlsx'"),
        ("rows.json", "out.csv", "the table has 0 rows"),
        ("rows.sav", "out.csv", r"files of the format \.sav are not read"),
        ("empty.csv", "out.csv", "found no rows"),
        ("quote.csv", "out.csv", "the last row opens a quotation mark that is never closed"),
        ("returns.csv", "out.csv", "lines that end with a carriage return alone"),
        ("half.csv.gz", "out.csv", r"found damaged compressed data \(Compressed file ended"),
        ("nested.parquet", "out.csv", r"column 'age': found values of the type struct.* expected single values"),
    ],
)
def test_what_cannot_be_scored_is_an_error(source, output, message, score, files, tmp_path):
    (files / "rows.json").write_text("[]")
    (files / "rows.sav").write_bytes(b"$FL2")
    (files / "empty.csv").write_text("age,sex\n")
    rows = (files / "rows.csv").read_text()
    last_cell = rows.rindex(",") + 1
    (files / "quote.csv").write_text(rows[:last_cell] + '"' + rows[last_cell:] + rows[rows.index("\n") + 1 :])
    (files / "returns.csv").write_bytes(rows.replace("\n", "\r").encode())
    (files / "half.csv.gz").write_bytes(gzip.compress(rows.encode())[:-40])
    typed = pq.read_table(files / "rows.parquet")
    nested = pa.array([{"a": 1}] * len(typed))
    pq.write_table(typed.set_column(typed.column_names.index("age"), "age", nested), files / "nested.parquet")
    with pytest.raises(UsageError, match=message):
        score([files / source], tmp_path / output)


def test_lost_rows_are_an_error(score, files, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_job, "count_rows", lambda files: 4)
    with pytest.raises(ServingError, match="Rows were lost: 4 in the input, 3000 read"):
        score([files / "rows.csv"], tmp_path / "out.csv")


def part_is_added(parts, before):
    return len(list(parts.glob("*.json"))) > before


def test_a_killed_job_continues_and_ends_with_the_same_bytes(model, rows, tmp_path):
    """SIGKILL in the middle, several times: what was finished is not done again, and the output is the same.

    The job that is not killed evaluates every node of its trees, the other one descends them.
    """
    pd.DataFrame(rows * 15).to_csv(tmp_path / "in.csv", index=False)
    script = (
        "import sys; from pathlib import Path; from mlnb.serving.batch import batch_job, input_units\n"
        "from mlnb.serving.batch.compiled import compiled_trees\n"
        "input_units.BLOCK = 100_000; batch_job.PART_ROWS = 3_000\n"
        "compiled_trees.SMALL_LEAVES = 0 if 'killed' in sys.argv[2] else 256\n"
        "if __name__ == '__main__':\n"
        "    options = batch_job.JobOptions([sys.argv[1]], sys.argv[2], Path(sys.argv[3]), 'small:1')\n"
        "    batch_job.run_job(options, Path(sys.argv[2] + '.scratch'), lambda c, t: print(c.read, flush=True))\n"
    )
    (tmp_path / "job.py").write_text(script)
    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    command = [sys.executable, str(tmp_path / "job.py"), str(tmp_path / "in.csv")]
    subprocess.run([*command, str(whole), str(model)], check=True, stdout=subprocess.DEVNULL)
    starts, parts = [], tmp_path / ".killed.parquet.parts"
    for attempt in range(3):
        process = subprocess.Popen([*command, str(killed), str(model)], stdout=subprocess.PIPE, text=True)
        starts.append(int(process.stdout.readline()))
        if attempt < 2:
            more = partial(part_is_added, parts, len(list(parts.glob("*.json"))))
            wait_for(more, 30, "another part", pause=0.002)
            assert process.poll() is None and not killed.exists()
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert starts == sorted(set(starts))
    assert starts[1] > 0
    one, other = pq.read_table(whole), pq.read_table(killed)
    assert len(one) == 15 * len(rows)
    assert one.equals(other)
