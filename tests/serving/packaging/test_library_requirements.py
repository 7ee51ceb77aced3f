import shutil
from importlib.metadata import version

import pytest

from mlnb.errors import MissingExtra, UsageError
from mlnb.serving.packaging import library_requirements
from mlnb.serving.packaging.library_requirements import (
    check_shipping,
    imported_versions,
    is_remote,
    pin,
    required_libraries,
    system_packages,
)


@pytest.mark.parametrize(
    ("file", "library"), [("model.txt", ["lightgbm"]), ("model.pkl", ["scikit-learn"]), ("model.json", [])]
)
def test_a_model_brings_the_library_that_reads_it(tmp_path, file, library):
    (tmp_path / file).touch()
    assert list(required_libraries(tmp_path)) == ["bentoml", "httptools", "msgspec", "numpy", "uvloop", *library]


def test_members_of_an_ensemble_bring_theirs_and_a_project_its_own(tmp_path):
    (tmp_path / "model.json").touch()
    for member, file in (("0", "model.txt"), ("1", "model.pkl")):
        (tmp_path / member).mkdir()
        (tmp_path / member / file).touch()
    server = ["bentoml", "httptools", "msgspec", "numpy", "uvloop"]
    assert list(required_libraries(tmp_path)) == [*server, "lightgbm", "scikit-learn"]
    assert list(required_libraries(tmp_path / "0", ["PyArrow", "lightgbm"])) == [*server, "lightgbm", "pyarrow"]
    with pytest.raises(UsageError, match=r"library 's3fs>=2024', expected a name alone"):
        required_libraries(tmp_path, ["s3fs>=2024"])


def test_imported_libraries_are_separate_from_their_dependencies():
    versions = imported_versions(pin(["lightgbm", "numpy"]))
    assert versions == {name: version(name) for name in ("lightgbm", "numpy")}


def test_metadata_is_read_once_and_again_after_an_installation(tmp_path, monkeypatch):
    def install(release):
        shutil.rmtree(tmp_path / "site", ignore_errors=True)
        folder = tmp_path / "site" / f"tinylib-{release}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tinylib\nVersion: {release}\n")

    install("1.0")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert "tinylib==1.0" in pin(["tinylib"])
    with monkeypatch.context() as patched:
        patched.setattr(library_requirements, "metadata", None)  # not called
        assert "tinylib==1.0" in pin(["tinylib"])
    install("2.0")
    assert "tinylib==2.0" in pin(["tinylib"])


def test_a_log_is_shipped_only_with_what_that_takes():
    assert is_remote("s3://bucket/x") and is_remote("gs://bucket")
    assert not any(map(is_remote, ("/mnt/x", "file:///mnt/x", "")))
    check_shipping("numpy==1\n", "")
    check_shipping("pyarrow==1\nfsspec==2\ns3fs==3\n", "s3://bucket/log")
    names = r"package\.libraries '\[\"fsspec\", \"pyarrow\", \"s3fs\"\]'"
    with pytest.raises(UsageError, match=f"has no fsspec, s3fs.*{names}"):
        check_shipping("pyarrow==1\n", "s3://bucket/log")


def test_everything_is_pinned_once_to_what_is_installed():
    lines = [line for line in pin(["numpy", "bentoml", "lightgbm"]).splitlines() if not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    assert names[:3] == ["bentoml", "lightgbm", "numpy"]
    assert len(set(names)) == len(names)
    assert {"starlette", "pydantic", "scipy"} <= set(names)
    assert not {"pandas", "pytest", "papermill", "wandb", "scikit-learn"} & set(names)
    assert f"numpy=={version('numpy')}" in lines


def test_a_library_that_is_not_installed_is_named():
    with pytest.raises(MissingExtra, match="pip install no-such-library"):
        pin(["no-such-library"])


def test_lightgbm_needs_openmp_of_the_system():
    assert system_packages(["bentoml", "lightgbm"]) == ["libgomp1"]
    assert system_packages(["bentoml", "scikit-learn"]) == []
