import shutil
import subprocess
import sys

import pytest

from mlnb.errors import ServingError
from mlnb.serving.packaging.bento_server import start_launcher
from mlnb.serving.packaging.bento_stores import bentoml_environment, bentoml_home, build_bento, find_bento


def test_a_bento_is_built_once_and_found_again(bundle, built):
    again = build_bento(bundle)
    assert again.existed
    assert (again.tag, again.model_tag, again.path) == (bundle.tag, bundle.model_tag, built.path)
    assert built.path == bentoml_home() / "bentos" / bundle.name / bundle.version


def test_bentoml_lists_bento_and_model(bundle, built):
    for verb in (["list"], ["models", "list"]):
        command = [sys.executable, "-m", "bentoml", *verb, "-o", "json"]
        output = subprocess.run(command, env=bentoml_environment(), capture_output=True, text=True).stdout
        assert (bundle.tag if verb == ["list"] else bundle.model_tag) in output


def test_what_a_kill_left_half_written_is_built_again(material, build, tmp_path):
    bundle = material().bundle(tmp_path / "service", name="half")
    path = build(bundle).path
    (path / "bento.yaml").unlink()
    shutil.rmtree(bentoml_home() / "models" / "half" / bundle.model_version / "fitted")
    assert find_bento(bundle) is None
    assert not build(bundle).existed
    assert find_bento(bundle).path == path


def test_a_file_changed_in_the_store_is_noticed(material, build, tmp_path):
    bundle = material().bundle(tmp_path / "service", name="changed")
    path = build(bundle).path
    model = path / "src" / "model" / "fitted" / "model.txt"
    model.write_text(model.read_text().replace("leaf_value=", "leaf_value=1", 1))
    assert find_bento(bundle) is None
    assert not build(bundle).existed
    assert find_bento(bundle) is not None


def test_a_service_that_cannot_be_imported_is_explained(material, tmp_path):
    bundle = material().bundle(tmp_path / "service", name="broken")
    (bundle.folder / "service.py").write_text("import no_such_module\n")
    with pytest.raises(ServingError, match="no_such_module"):
        build_bento(bundle)
    assert not (bentoml_home() / "bentos" / "broken" / bundle.version / "bento.yaml").exists()


def test_a_bento_is_built_in_a_fork_of_a_waiting_launcher(material, tmp_path):
    launcher = start_launcher(tmp_path / "log")
    bundle = material().bundle(tmp_path / "service", name="forked")
    service = (bundle.folder / "service.py").read_text()
    (bundle.folder / "service.py").write_text("import no_such_module\n")
    with pytest.raises(ServingError, match="no_such_module"):
        build_bento(bundle, launcher.run)
    (bundle.folder / "service.py").write_text(service)
    built = build_bento(bundle, launcher.run)
    assert not built.existed and find_bento(bundle).path == built.path
    launcher.process.stdin.close()
    assert launcher.process.wait(20) == 0 and (tmp_path / "log").read_text() == ""
    assert launcher.run(tmp_path / "program.py", []) is None  # then a new process builds


def test_building_uses_no_network(material, tmp_path, monkeypatch):
    """Without a network, with pip and uv out of reach: BentoML would install uv with pip."""
    bundle = material().bundle(tmp_path / "service", name="offline")
    for name in ("http_proxy", "https_proxy", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build_bento(bundle).path.is_dir()


def test_no_telemetry_is_sent():
    assert bentoml_environment()["BENTOML_DO_NOT_TRACK"] == "True"
