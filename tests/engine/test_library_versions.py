"""The version of a library is that of the distribution that installs it, whatever their names are."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from mlnb.engine.library_versions import installed_version, python_version


@pytest.mark.parametrize(
    "library", ["sklearn", "PIL", "numpy", "_bentoml_sdk", "_bentoml_impl", "attr", "dotenv", "_cffi_backend"]
)
def test_versions_are_those_of_the_distribution(library: str) -> None:
    names = metadata.packages_distributions()[library]
    assert installed_version(library) == metadata.version(names[0])


def test_a_library_that_is_not_installed_has_none() -> None:
    assert installed_version("no_such_library") == "none" and python_version().startswith("3.")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RECORD", "inner/__init__.py,,\n"),
        ("RECORD", "other.py,,\r\ninner.py,sha256=x,1\r\n"),
        ("RECORD", "inner.cpython-311-x86_64-linux-gnu.so,,\n"),
        ("top_level.txt", "other\ninner\n"),
    ],
)
def test_each_form_of_a_distribution_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """Also one without `top_level.txt`, and an editable one, whose list of files has none of the library."""
    folder = tmp_path / "outer_name-2.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: outer-name\nVersion: 2.5\n\nVersion: 9\n")
    (folder / name).write_text(text, newline="")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed_version("inner") == "2.5"
    for other in ("inn", "inner.part", "nner", "py", "sha256"):
        assert installed_version(other) == "none"
