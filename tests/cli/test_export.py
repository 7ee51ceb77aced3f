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


def test_each_of_several_models_is_exported(tmp_path, capsys, monkeypatch):
    versions = [
        SimpleNamespace(model=name, name=f"{name}:1", run="run-1", metadata=SimpleNamespace(segment=name))
        for name in ("churn.rome", "churn.oslo", "churn.gone")
    ]
    (tmp_path / "runs" / "run-1").mkdir(parents=True)
    versions[2].run = "run-2"  # of another project
    monkeypatch.setattr(export, "Registry", lambda project: SimpleNamespace(sync=lambda: None))
    monkeypatch.setattr(export, "selected_models", lambda registry, args: versions)
    export_text = portable_export.export_text

    def export_rome(folder, out):
        if out.name == "churn.oslo":
            raise UsageError("A model of the family 'svm' has no text form.")
        return export_text(folder, out)

    monkeypatch.setattr(portable_export, "export_text", export_rome)
    assert main(["export", "--to", "text", "--all", "--out", "edge"]) == 2
    text = capsys.readouterr().out
    assert (tmp_path / "edge/churn.rome/scorer.py").is_file() and "edge/churn.rome  (" in text
    assert "churn.oslo:1: A model of the family 'svm' has no text form." in text and "skipped" in text
    assert main(["export", "run-1", "--to", "text", "--all"]) == 2
    assert "names one version" in capsys.readouterr().err
    (tmp_path / "model.txt").touch()
    assert main(["export", "--to", "text", "--all", "--out", "model.txt"]) == 2
    assert "model.txt is a file; expected a folder" in capsys.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["export", "--to", "mlflow", "--all"]) == 2
    assert "--to mlflow needs --uri" in capsys.readouterr().err  # once, not for each model
