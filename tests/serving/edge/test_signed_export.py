"""Signed models: what is signed, and what is refused; the library is not among the requirements of the tests."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_models import make_model

from mlnb.cli import export
from mlnb.cli.main import main
from mlnb.codec import encode
from mlnb.errors import MissingExtra, UsageError
from mlnb.serving.edge import signed_export
from mlnb.serving.edge.signed_export import export_signed
from mlnb.serving.packaging.bundles import MANIFEST, BundleManifest


class Signing:
    """Stands for the library: it writes the names of the files as the signature, and refuses a key without text."""

    class Config:
        def use_elliptic_key_signer(self, private_key: Path) -> "Signing.Config":
            if not private_key.read_text():
                raise ValueError("could not deserialize key data")
            return self

        def sign(self, model_path: Path, signature_path: Path) -> None:
            names = sorted(path.relative_to(model_path).as_posix() for path in model_path.rglob("*") if path.is_file())
            signature_path.write_text(json.dumps(names))


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A packaged model of a project, and a key."""
    folder = tmp_path / "bundle"
    make_model(folder / "model", "linear")
    (folder / MANIFEST).write_bytes(encode(BundleManifest(name="small", service="tabular")))
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    (tmp_path / "key.pem").write_text("a key")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "find_packaged_run", lambda *_: SimpleNamespace(id="run-1", load=lambda _: folder))
    monkeypatch.setattr(signed_export, "_library", lambda: Signing)
    return folder


def test_the_files_of_the_model_are_copied_and_signed(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["export", "--to", "signed", "--key", "key.pem"]) == 0
    out = tmp_path / "dist/signed/small"
    assert str(out / "model.sig") in capsys.readouterr().out
    originals = {p.relative_to(bundle / "model").as_posix(): p for p in (bundle / "model").rglob("*") if p.is_file()}
    assert json.loads((out / "model.sig").read_text()) == sorted(originals)
    assert all((out / "model" / name).read_bytes() == path.read_bytes() for name, path in originals.items())
    assert main(["export", "--to", "signed", "--key", "key.pem"]) == 2 and "exists" in capsys.readouterr().err
    assert main(["export", "--to", "signed", "--key", "key.pem", "--out", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signature"] == "other/model.sig"


@pytest.mark.parametrize("arguments", [["--to", "signed"], ["--to", "text", "--key", "key.pem"]])
def test_only_signed_models_need_a_key(bundle: Path, arguments: list[str], capsys: Any) -> None:
    assert main(["export", *arguments]) == 2 and "--key is for" in capsys.readouterr().err


def test_what_is_no_key_is_refused_before_anything_is_written(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name, message in (("gone.pem", "is no file"), ("empty.pem", "cannot sign")):
        with pytest.raises(UsageError, match=message):
            export_signed(bundle / "model", tmp_path / "out", tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_without_the_library_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'mlnb\[model-signing\]'"):
        export_signed(tmp_path, tmp_path / "out", tmp_path / "key.pem")
