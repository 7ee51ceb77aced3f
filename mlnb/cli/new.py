"""`mlnb new`: a project of one's own, with the stage notebooks and services to edit."""

import argparse
import importlib.util
import re
import sys
import tempfile
from pathlib import Path

from mlnb.engine.project_template import installed_template, write_template
from mlnb.errors import ProjectError

IGNORED = ".venv/\nruns/\n.mlnb/\nwandb/\n__pycache__/\n.ipynb_checkpoints/\n"

README = """\
# {name}

A project of [mlnb](https://example.org/mlnb). The notebooks in `nbs/stages` are yours: open and change them.

    mlnb run --data churn.csv --target Churn    from data to a proven model; what did not change is reused
    mlnb lab                                    the notebooks in JupyterLab; a draft reads the last run's data
    mlnb check                                  whether every notebook keeps the stage contract
    mlnb serve                                  answer predictions over HTTP
    mlnb upgrade --dry-run                      what a newer mlnb would change in your copies
    nbdev_test                                  run the notebooks' examples and assertions
    nbdev_export                                write their exported functions to {library}/
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb new`."""
    p.add_argument("folder", type=Path, metavar="NAME", help="folder to make; its name is the project's")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "examples:\n  mlnb new churn && cd churn && mlnb run --data churn.csv --target Churn"


def main(args: argparse.Namespace) -> int:
    """Make the project and say what to do next."""
    folder = args.folder.expanduser().resolve()
    library = create(folder)
    shown = _shown(folder)
    print(f"Made {shown}: stage notebooks in {shown}/nbs/stages, their functions will be in {shown}/{library}.\n")
    print(f"Next:\n  cd {shown}\n  mlnb run    the built-in example, end to end\n  mlnb lab    the notebooks")
    return 0


def create(folder: Path) -> str:
    """Make a project in `folder`, all of it or nothing, and return the name of its library.

    Raises `ProjectError` when the folder is not empty or cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "not empty" if folder.is_dir() else "a file"
        raise ProjectError(f"{_shown(folder)} is {what}; expected a new folder: mlnb new {folder.name}_2")
    library = library_name(folder.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            made = Path(temporary, "project")
            _fill(made, folder.name, library)
            if folder.exists():
                folder.rmdir()
            made.rename(folder)
    except OSError as error:
        raise ProjectError(f"{_shown(folder)} cannot be made: {error.strerror or error}.") from error
    return library


def library_name(name: str) -> str:
    """Return an importable name that nothing else has, made from a folder's name."""
    library = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_") or "project"
    if library[0].isdigit():
        library = f"project_{library}"
    taken = library in sys.stdlib_module_names or importlib.util.find_spec(library) is not None
    return f"{library}_project" if taken else library


def _fill(made: Path, name: str, library: str) -> None:
    template = installed_template(name, library)
    texts = {
        "README.md": README.format(name=name, library=library),
        ".gitignore": IGNORED,
        f"{library}/__init__.py": '__version__ = "0.1.0"\n',
    }
    for path, data in {**template.files, **{path: text.encode() for path, text in texts.items()}}.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(data)
    write_template(made, template)


def _shown(path: Path) -> str:
    """Return a path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
