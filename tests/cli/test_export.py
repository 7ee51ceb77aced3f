"""`mlnb export` of a packaged model: where it writes, what it prints, and refusals."""

import json
from types import SimpleNamespace

import pytest
from small_models import make_model

from mlnb.cli import export
from mlnb.cli.main import main
from mlnb.codec import encode
from mlnb.errors import UsageError
from mlnb.serving.edge import portable_export
from mlnb.serving.packaging.bundles import MANIFEST, BundleManifest


@pytest.fixture(autouse=True)
def packaged(tmp_path, monkeypatch):
    """A project whose newest packaged run is a linear model."""
    folder = tmp_path / "bundle"
    make_model(folder / "model", "linear")
    (folder / MANIFEST).write_bytes(encode(BundleManifest(name="small", service="tabular")))
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "find_packaged_run", lambda *_: SimpleNamespace(id="run-1", load=lambda _: folder))


def test_a_model_is_written_below_dist_edge(tmp_path, capsys):
    assert main(["export", "--to", "text"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path}/dist/edge/small  (")
    assert "40 golden rows: largest difference" in out and "tolerance 1e-12" in out
    assert (tmp_path / "dist/edge/small/scorer.py").is_file()


def test_json_has_the_comparison_with_the_notebook(capsys):
    assert main(["export", "--to", "text", "--out", "phone", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"] == 40 and result["largest_difference"] <= result["tolerance"]
    assert (result["out"], result["run"], result["model"]) == ("phone", "run-1", "small:0123456789ab")


def test_a_model_without_the_form_exits_with_2(tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise UsageError("A model of the family 'svm' has no text form.")

    monkeypatch.setattr(portable_export, "export_text", refuse)
    assert main(["export", "--to", "text"]) == 2
    assert "'svm'" in capsys.readouterr().err and not (tmp_path / "dist").exists()
