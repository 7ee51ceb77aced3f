"""Papermill's own test notebooks give the same results under both engines."""

from pathlib import Path

import nbformat
import papermill
import pytest

from kernels.corpus import compare

FOLDER = Path(papermill.__file__).parent / "tests" / "notebooks"
# Those that need another language, another store or another format, and one that only sleeps for a minute.
OTHERS = (
    "keyboard_interrupt",
    "julia",
    "scala",
    "r_",
    "sas",
    "matlab",
    "powershell",
    "gcs",
    "s3",
    "nb_language",
    "unknown",
)


def usable() -> list[Path]:
    """Return the notebooks that run on IPython's kernel."""
    paths = []
    for path in sorted(FOLDER.glob("*.ipynb")):
        try:
            document = nbformat.read(path, as_version=4)
        except (ValueError, KeyError):
            continue
        name = document.metadata.get("kernelspec", {}).get("name", "")
        if name.startswith("python") and not path.name.startswith(OTHERS):
            paths.append(path)
    return paths


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", usable(), ids=lambda path: path.stem)
def test_both_engines_agree(project: Path, path: Path) -> None:
    document = nbformat.read(path, as_version=4)
    document.metadata["kernelspec"]["name"] = "python3"
    document = nbformat.v4.upgrade(document)
    compare.assert_same(document, project)


def test_papermill_has_test_notebooks() -> None:
    assert len(usable()) >= 10
