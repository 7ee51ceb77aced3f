"""`mlnb score` on a packaged model: output, counts, progress and refusals. Jobs are in `test_batch_job.py`."""

import argparse
import json
from types import SimpleNamespace

import pandas as pd
import pytest
from small_models import make_model, make_rows

from mlnb.cli import score
from mlnb.cli.main import main
from mlnb.codec import encode
from mlnb.serving.batch.job_checkpoints import Counts
from mlnb.serving.packaging.bundles import MANIFEST, BundleManifest

ROWS = 40


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score") / "bundle"
    make_model(folder / "model", "linear")
    (folder / MANIFEST).write_bytes(encode(BundleManifest(name="small", service="tabular")))
    return folder


@pytest.fixture
def packaged(bundle, tmp_path, monkeypatch):
    """A project whose newest packaged run is the small model, and a table of rows."""
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(score, "find_packaged_run", lambda *_: SimpleNamespace(id="run-1", load=lambda _: bundle))
    monkeypatch.setattr(score, "import_lightgbm_alone", lambda: None)  # this process has imported all of it
    table = pd.DataFrame(make_rows(ROWS)).drop(columns="note")
    table.to_csv(tmp_path / "rows.csv", index=False)
    return table


def test_rows_are_scored_and_counted(packaged, tmp_path, capsys):
    assert main(["score", "rows.csv", "out.csv", "--workers", "1", "--keep", "sex", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["rows"], result["scored"], result["bad"], result["run"]) == (ROWS, ROWS, 0, "run-1")
    assert result["model"] == "small:0123456789ab"
    out = pd.read_csv(tmp_path / "out.csv")
    assert len(out) == ROWS and "sex" in out.columns and set(out["prediction"]) <= {"no", "yes"}


def test_invalid_rows_are_refused_or_go_to_quarantine(packaged, tmp_path, capsys):
    packaged.astype({"age": object}).assign(age="old").head(2).to_csv(tmp_path / "bad.csv", index=False)
    assert main(["score", "bad.csv", "out.csv", "--workers", "1"]) == 2
    assert "--quarantine" in capsys.readouterr().err
    assert main(["score", "bad.csv", "out.csv", "--workers", "1", "--quarantine", "bad.jsonl"]) == 0
    assert "bad.jsonl  (2 invalid rows of 2)" in capsys.readouterr().out
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 2


def test_columns_to_keep_may_be_stated_one_by_one():
    parser = argparse.ArgumentParser()
    score.parser(parser)
    assert parser.parse_args(["in.csv", "out.csv", "--keep", "a", "--keep", "b", "c"]).keep == ["a", "b", "c"]


def test_a_number_of_workers_below_one_is_refused(packaged, capsys):
    assert main(["score", "rows.csv", "out.csv", "--workers", "0"]) == 2
    assert "--workers is 0; expected 1 or more" in capsys.readouterr().err


def test_progress_shows_the_rate_and_where_a_job_continues(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 5.0])
    monkeypatch.setattr(score.time, "monotonic", lambda: next(clock))
    progress = score.Progress()
    for read in (100, 600):
        progress(Counts(read=read, scored=read, bad=0), 1100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["  continuing after row 100", "  600 rows of 1,100, 5 s left, 100 per second"]
