"""Files scored: the service's numbers, whatever the file, however often it was killed, and no row lost."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_models import make_model, make_rows
from waiting import wait_for

from mlnb.errors import UsageError
from mlnb.serving.batch import batch_job, input_units
from mlnb.serving.batch.batch_job import Asked, run_job
from mlnb.serving.batch.batch_scorer import Scorer
from mlnb.serving.batch.compiled import compiled_forests, compiled_linear, compiled_trees, threshold_ranks
from mlnb.serving.batch.compiled.compiled_models import Together
from mlnb.serving.batch.compiled.compiled_trees import Compiled
from mlnb.serving.batch.compiled.llvm_functions import can_compile
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.batch.input_units import cut, find_files
from mlnb.serving.edge.lightgbm_text import Boosted, Tree
from mlnb.serving.runtime.predictor import Predictor

ROWS = 3000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("batch") / "model", "lightgbm", "binary", "sigmoid", text=True)


@pytest.fixture(scope="module")
def rows():
    return make_rows(ROWS, seed=3)


@pytest.fixture(scope="module")
def expected(model, rows):
    """What the service answers."""
    return [answer["probabilities"]["yes"] for answer in Predictor.load(model).predict(rows)]


@pytest.fixture(scope="module")
def files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    table = pd.DataFrame(rows).assign(number=range(ROWS))
    table.to_csv(folder / "rows.csv", index=False)
    table.to_csv(folder / "packed.csv.gz", index=False)
    table.to_csv(folder / "semicolons.csv", index=False, sep=";")
    table.assign(day=pd.to_datetime(table["day"], format="ISO8601")).to_parquet(
        folder / "rows.parquet", row_group_size=700
    )
    return folder


def score(model, sources, output, tmp_path, **more):
    return run_job(Asked([str(s) for s in sources], str(output), model, "small:1", **more), tmp_path / "scratch")


@pytest.mark.parametrize("name", ["rows.csv", "packed.csv.gz", "semicolons.csv", "rows.parquet"])
def test_the_numbers_are_the_service_s_to_the_last_bit(name, model, files, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(input_units, "BLOCK", 20_000)  # many units
    monkeypatch.setattr(batch_job, "PART_ROWS", 900)  # many parts
    counts = score(model, [files / name], tmp_path / "out.parquet", tmp_path, keep=("number",))
    assert (counts.read, counts.scored, counts.bad) == (ROWS, ROWS, 0)
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["row", "number", "prediction", "probability no", "probability yes"]
    assert out["row"].to_pylist() == list(range(ROWS)) == [int(n) for n in out["number"].to_pylist()]
    assert out["probability yes"].to_pylist() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_several_workers_give_the_same_file(model, files, tmp_path):
    for workers in (1, 2):
        score(model, [files / "rows.parquet"], tmp_path / f"{workers}.csv", tmp_path, workers=workers)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_many_files_by_glob_and_url(model, files, expected, tmp_path):
    memory = fsspec.filesystem("memory")
    for part in range(3):
        memory.pipe(f"/in/part-{part}.csv", (files / "rows.csv").read_bytes())
    counts = score(model, ["memory://in/part-*.csv"], "memory://out/all.parquet", tmp_path)
    assert counts.scored == 3 * ROWS
    with memory.open("/out/all.parquet") as file:
        out = pd.read_parquet(file)
    assert out["file"].value_counts().tolist() == [ROWS] * 3
    assert out["probability yes"].tolist() == expected * 3
    assert out["row"].tolist() == list(range(ROWS)) * 3


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("age", "forty", "'forty'"),
        ("ok", "perhaps", "'perhaps'"),
        ("day", "2020-13-01", "'2020-13-01'"),
        ("age", "inf", "inf"),
    ],
)
def test_a_bad_row_stops_the_job_or_is_put_aside(column, value, found, model, rows, tmp_path, expected):
    table = pd.DataFrame(rows).astype({column: object})
    for row in (100, 2000):
        table.loc[row, column] = value
    table.to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(UsageError, match=rf"in.csv, row 100, column '{column}'.*{found}.*--quarantine"):
        score(model, [tmp_path / "in.csv"], tmp_path / "out.parquet", tmp_path)
    assert not (tmp_path / "out.parquet").exists()
    bad = tmp_path / "bad.jsonl"
    counts = score(model, [tmp_path / "in.csv"], tmp_path / "out.parquet", tmp_path, quarantine=str(bad))
    assert (counts.read, counts.scored, counts.bad) == (ROWS, ROWS - 2, 2)
    lines = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [(line["row"], line["column"]) for line in lines] == [(100, column), (2000, column)]
    assert lines[0]["values"]["town"] == rows[100]["town"]
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert out["probability yes"].tolist() == [p for row, p in enumerate(expected) if row not in (100, 2000)]


def test_typed_files_are_held_to_the_service_s_rules(model, tmp_path):
    table = pa.table({"age": ["3", "4"], "town": ["a", "b"]})
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(UsageError, match="column 'age': found '3', expected a finite number"):
        score(model, [tmp_path / "in.parquet"], tmp_path / "out.parquet", tmp_path)
    scorer = Scorer(model)
    table = pa.table({"age": [1.0, np.inf, np.nan], "ok": pa.array([True, None, False]), "town": ["x", None, " "]})
    scored = scorer.score(table, 10, text=False)
    assert (scored.good["row"].to_pylist(), [p["row"] for p in scored.bad]) == ([10, 12], [11])


def test_a_quotation_is_never_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(input_units, "BLOCK", 64)
    lines = ['"a, with\nnew ""lines"" in it",1\n', "plain,2\n"] * 20
    (tmp_path / "x.csv").write_text("text,number\n" + "".join(lines))
    files = find_files([str(tmp_path / "x.csv")])
    units = list(cut(files, (0, 0), 1))
    bodies = [unit.body.removeprefix(files[0].header) for unit in units]
    assert b"".join(bodies).decode() == "".join(lines)
    assert len(units) > 5
    assert all(body.count(b'"') % 2 == 0 for body in bodies)
    again = list(cut(files, units[2].next, 1))
    assert [unit.body for unit in again] == [unit.body for unit in units[3:]]


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("nothing-*.csv", "out.parquet", "found no file"),
        ("rows.csv", "out.xlsx", "'.xlsx'"),
        ("rows.json", "out.csv", "found no kind"),
    ],
)
def test_what_cannot_be_scored_is_told(source, output, said, model, files, tmp_path):
    (files / "rows.json").write_text("[]")
    with pytest.raises(UsageError, match=said):
        score(model, [files / source], tmp_path / output, tmp_path)


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(model, rows, tmp_path):
    """SIGKILL in the middle, several times: what was finished is not done again, and the output is the same.

    The job that is not killed looks at every node of its trees, the other one goes down them.
    """
    pd.DataFrame(rows * 15).to_csv(tmp_path / "in.csv", index=False)
    script = (
        "import sys; from pathlib import Path; from mlnb.serving.batch import batch_job, input_units\n"
        "from mlnb.serving.batch.compiled import compiled_trees\n"
        "input_units.BLOCK = 100_000; batch_job.PART_ROWS = 3_000\n"
        "compiled_trees.SMALL = 0 if 'killed' in sys.argv[2] else 256\n"
        "if __name__ == '__main__':\n"
        "    asked = batch_job.Asked([sys.argv[1]], sys.argv[2], Path(sys.argv[3]), 'small:1')\n"
        "    batch_job.run_job(asked, Path(sys.argv[2] + '.scratch'), lambda c, t: print(c.read, flush=True))\n"
    )
    (tmp_path / "job.py").write_text(script)
    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    command = [sys.executable, str(tmp_path / "job.py"), str(tmp_path / "in.csv")]
    subprocess.run([*command, str(whole), str(model)], check=True, stdout=subprocess.DEVNULL)
    starts = []
    for attempt in range(3):
        process = subprocess.Popen([*command, str(killed), str(model)], stdout=subprocess.PIPE, text=True)
        starts.append(int(process.stdout.readline()))
        if attempt < 2:
            parts = Path(tmp_path, ".killed.parquet.parts")
            have = len(list(parts.glob("*.json")))
            wait_for(
                lambda have=have, parts=parts, process=process: (
                    len(list(parts.glob("*.json"))) > have or process.poll() is not None
                ),
                30,
                "another finished part",
                pause=0.002,
            )
            assert not killed.exists()
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert starts == sorted(set(starts))
    assert starts[1] > 0
    one, other = pq.read_table(whole), pq.read_table(killed)
    assert len(one) == 15 * ROWS
    assert one.equals(other)


def assert_same(folder, rows, kind):
    """Assert that a shorter way of such a kind was found, and gives the same."""
    slow, fast = Scorer(folder, worth=10**9), Scorer(folder, worth=1)
    table = pa.Table.from_pylist(rows)
    fast.score(table, 0, text=False)
    assert slow.shorter is None
    assert isinstance(fast.shorter, kind)
    assert fast.score(table, 0, text=False).good.equals(slow.score(table, 0, text=False).good)


@pytest.mark.parametrize(
    ("family", "task"), [("lightgbm", "binary"), ("lightgbm", "multiclass"), ("hist_boosting", "regression")]
)
@pytest.mark.parametrize("large", [False, True])
def test_machine_code_gives_the_same_bits(family, task, large, rows, tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(compiled_trees, "SMALL", 0 if large else 256)
    assert_same(make_model(tmp_path / "model", family, task, text=True), rows, Compiled)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_forests_are_walked_to_the_same_bits(task, rows, tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(compiled_trees, "SMALL", 16)
    assert_same(make_model(tmp_path / "model", "random_forest", task), rows, Compiled)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("quantiles", [False, True])
@pytest.mark.parametrize("compiles", [False, True])
def test_linear_models_are_summed_to_the_same_bits(task, quantiles, compiles, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_linear, "can_compile", lambda: compiles and can_compile())
    folder = make_model(tmp_path / "model", "linear", task, quantiles=quantiles)
    assert ("knots" in Scorer(folder).parts.model.native) == quantiles
    assert_same(folder, rows, compiled_linear.Linear)


@pytest.mark.parametrize(("family", "task"), [("ensemble", "multiclass"), ("mixed", "binary"), ("mixed", "regression")])
def test_ensembles_are_added_to_the_same_bits(family, task, rows, tmp_path):
    pytest.importorskip("llvmlite")
    assert_same(make_model(tmp_path / "model", family, task), rows, Together)


@pytest.mark.parametrize("family", ["lightgbm", "random_forest", "linear"])
def test_a_shorter_way_that_differs_is_not_used(family, rows, tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    read, apply = compiled_trees.read_booster, compiled_linear.apply_scale
    monkeypatch.setattr(compiled_trees, "SMALL", 16)
    monkeypatch.setattr(compiled_trees, "read_booster", lambda text: bent(read(text)))
    monkeypatch.setattr(compiled_linear, "apply_scale", lambda learned, X: apply(learned, X) * 1.0000000000000002)
    scorer = Scorer(make_model(tmp_path / "model", family), worth=1)
    scorer.score(pa.Table.from_pylist(rows), 0, text=False)
    assert scorer.shorter is None


def bent(boosted):
    """A booster of which one tree says a little more."""
    tree = boosted.trees[-1]
    return replace(boosted, trees=[*boosted.trees[:-1], replace(tree, value=tree.value * 1.0001)])


def test_trees_over_too_many_columns_are_left_to_lightgbm(rows, tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(compiled_trees, "SMALL", 16)
    monkeypatch.setattr(compiled_forests, "MOST_COLUMNS", 3)
    scorer = Scorer(make_model(tmp_path / "model", "random_forest"), worth=1)
    assert len(scorer.score(pa.Table.from_pylist(rows), 0, text=False).good) == ROWS
    assert scorer.shorter is None


def make_tree(rng, count, leaves, deep):
    """A tree of so many leaves, in a chain or grown anywhere, with splits at random."""
    left, right, ends = [], [], [None]  # of each leaf: the node above it, and the side
    for node in range(leaves - 1):
        place = ends.pop(-1 if deep else int(rng.integers(len(ends))))
        if place is not None:
            place[0][place[1]] = node
        left.append(None)
        right.append(None)
        ends += [(left, node), (right, node)]
    for leaf, place in enumerate(ends if leaves > 1 else []):
        place[0][place[1]] = ~leaf
    nodes = leaves - 1
    threshold = rng.choice(np.r_[rng.normal(size=max(nodes, 1)), 0.0, -0.0], nodes)
    feature, nan_left = rng.integers(0, count, nodes), rng.random(nodes) < 0.5
    sides = (np.array(side, np.int64) for side in (left, right))
    return Tree(feature, threshold, *sides, nan_left, rng.normal(size=leaves))


def walk(boosted, X):
    """Scores (n, outputs) by one row after the other."""
    expected = np.zeros((len(X), boosted.outputs))
    for number, tree in enumerate(boosted.trees):
        for row, x in enumerate(X):
            node = 0 if len(tree.feature) else -1
            while node >= 0:
                value = x[tree.feature[node]]
                left = tree.nan_left[node] if np.isnan(value) else value <= tree.threshold[node]
                node = tree.left[node] if left else tree.right[node]
            expected[row, number % boosted.outputs] += tree.value[~node]
    return expected


@pytest.mark.parametrize(
    ("leaves", "deep", "lane"),
    [([1, 2, 31, 7, 9, 4, 5, 6, 3, 31], True, "i8"), ([300, 1, 40], True, "i16"), ([300, 1, 500, 2], False, "i16")],
)
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("rows", "outputs"), [(1, 1), (511, 1), (1025, 2)])
def test_any_tree_is_walked_as_it_is_written(leaves, deep, lane, large, rows, outputs, monkeypatch):
    """Against a walk of one row after the other: chains, single leaves, missing values either way, signed zeros."""
    pytest.importorskip("llvmlite")
    rng = np.random.default_rng(rows)
    monkeypatch.setattr(compiled_trees, "SMALL", 0 if large else 256)
    monkeypatch.setattr(compiled_forests, "ROWS", 256)  # several blocks
    boosted = Boosted(outputs, "identity", 1.0, False, [make_tree(rng, 4, n, deep) for n in leaves * outputs])
    program = compiled_trees.choose_program(boosted)
    assert program.lane == ("i16" if large else lane)
    numbers = [rng.normal(size=(rows, 2)), rng.normal(size=(6, 2))]
    for matrix in numbers:
        matrix[rng.random(matrix.shape) < 0.2] = np.nan
        matrix[rng.random(matrix.shape) < 0.1] = -0.0
    codes = rng.integers(0, 6, rows).astype(np.int32)
    made = Compiled(boosted, program, [2, 2], compiled_trees._find_exponential())
    expected = walk(boosted, np.hstack([numbers[0], numbers[1][codes]]))
    found = made.predict([(numbers[0], None), (numbers[1], codes)], rows, "regression")
    assert np.array_equal(found.reshape(rows, -1), expected)


@pytest.mark.parametrize("large", [False, True])
def test_a_feature_with_more_thresholds_than_ranks_is_several_columns(large, monkeypatch):
    pytest.importorskip("llvmlite")
    rng = np.random.default_rng(0)
    monkeypatch.setattr(compiled_trees, "SMALL", 0 if large else 256)
    monkeypatch.setattr(threshold_ranks, "MOST", 5)
    boosted = Boosted(1, "identity", 1.0, False, [make_tree(rng, 3, 40, False) for _ in range(9)])
    assert max(stretch for _, stretch in rank_nodes(boosted).cuts) > 10
    X = rng.normal(size=(300, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    made = Compiled(boosted, compiled_trees.choose_program(boosted), [3], compiled_trees._find_exponential())
    assert np.array_equal(made.predict([(X, None)], len(X), "regression"), walk(boosted, X)[:, 0])
