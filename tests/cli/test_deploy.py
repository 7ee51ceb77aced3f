"""`mlnb deploy lambda` for each of several models: where packages are written, what is printed, and failures."""

from types import SimpleNamespace

import pytest
from small_models import make_model

from mlnb.cli import deploy
from mlnb.cli.main import main
from mlnb.codec import encode
from mlnb.errors import ServingError
from mlnb.serving.deploy.lambda_package import LambdaPackage
from mlnb.serving.packaging.bundles import MANIFEST, BundleManifest, digest_tree

NAMES = ("churn.rome", "churn.oslo", "churn.gone")


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A project with a run of each of two models, and a version whose run is elsewhere."""
    for name in NAMES[:2]:
        folder = tmp_path / "bundles" / name
        make_model(folder / "model", "linear")
        (folder / MANIFEST).write_bytes(encode(BundleManifest(name=name, service="tabular")))
        (tmp_path / "runs" / f"run-{name}").mkdir(parents=True)
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    versions = [
        SimpleNamespace(model=name, name=f"{name}:1", run=f"run-{name}", metadata=SimpleNamespace(segment=name[6:]))
        for name in NAMES
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(deploy, "Registry", lambda project: SimpleNamespace(sync=lambda: None))
    monkeypatch.setattr(deploy, "selected_models", lambda registry, args: versions)
    monkeypatch.setattr(
        deploy,
        "find_packaged_run",
        lambda project, run: SimpleNamespace(id=run, load=lambda _: tmp_path / "bundles" / run.removeprefix("run-")),
    )

    def build(bundle, file):
        if bundle.name == "churn.oslo":
            raise ServingError("The function has 300 MB unzipped, expected at most 250.")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(digest_tree(bundle.folder))
        return LambdaPackage(file, 60 * 2**20, 200 * 2**20, 0.8, 2**27, 40)

    monkeypatch.setattr(deploy, "build_lambda_package", build)
    return tmp_path


def test_a_function_is_packaged_for_each_model_and_a_failure_leaves_the_others(packaged, capsys):
    assert main(["deploy", "lambda", "--all"]) == ServingError.exit_code
    out = capsys.readouterr().out
    file = packaged / "dist" / "lambda" / "churn.rome.zip"
    assert file.is_file() and f"{file}  (60.0 MB, churn.rome:0123456789ab of run run-churn.rome)" in out
    assert "--function-name churn-rome --handler" in out and "--memory-size 256" in out
    assert "s3://..." in out  # a larger package goes through S3
    assert "churn.oslo:1: The function has 300 MB unzipped" in out and "skipped" in out
    assert not (packaged / "dist" / "lambda" / "churn.oslo.zip").exists()


def test_out_is_a_folder_for_several_models_and_a_file_for_one(packaged, capsys):
    assert main(["deploy", "lambda", "--all", "--out", "functions"]) == ServingError.exit_code
    assert (
        packaged / "functions" / "churn.rome.zip"
    ).is_file() and "functions/churn.rome.zip" in capsys.readouterr().out
    (packaged / "one.zip").write_text("another")
    assert main(["deploy", "lambda", "--name", "churn.*", "--out", "one.zip"]) == 2
    assert "one.zip is a file; expected a folder" in capsys.readouterr().err
    assert main(["deploy", "lambda", "run-churn.rome", "--out", "one.zip"]) == 0
    assert "of run run-churn.rome" in capsys.readouterr().out and (packaged / "one.zip").read_text() != "another"
    assert main(["deploy", "lambda", "churn.rome:1", "--all"]) == 2 and "names one version" in capsys.readouterr().err
