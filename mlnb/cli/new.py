"""`mlnb new`: create a project with the stage notebooks and services to edit."""

import argparse
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from mlnb.cli.ci_workflow import project_template
from mlnb.cli.example_notebooks import EXAMPLES
from mlnb.cli.found_program import as_found
from mlnb.cli.new_target import check_target
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.notebook_document import set_defaults
from mlnb.engine.parameter_values import read_pairs
from mlnb.engine.project import Project
from mlnb.engine.project_template import write_template
from mlnb.errors import ParameterError, ProjectError
from mlnb.lab.git_filter import attributes_text, configure_git
from mlnb.suggestions import similar_file

IGNORED = ".venv/\nruns/\n.mlnb/\nwandb/\n__pycache__/\n.ipynb_checkpoints/\n"

COLUMNS = """\
# What is declared about columns overrides what is inferred. Remove the # of the lines to use:
#
# [columns.price]
# kind = "number"                 # number, category, date, text, vector, identifier or ignore
# role = "target"                 # feature, weight, group, time, series, protected; or a list: ["feature", "group"]
# missing = [-1, "unknown"]       # texts and numbers that stand for a missing value
# unit = "EUR"
#
# [columns."sold on"]
# kind = "date"
# format = "%d/%m/%Y"
#
# [columns.email]
# personal = "pseudonymize"       # personal data: drop, mask, pseudonymize (needs MLNB_PERSONAL_KEY) or keep
"""

README = """\
# {name}

A project of [mlnb](https://example.org/mlnb). Edit the stage notebooks in `nbs/stages`,
declare columns in `columns.toml`, and add classes of the project in `nbs/models`, `nbs/metrics`, `nbs/encoders` and
`nbs/sources`.
`.github/workflows/mlnb.yml` runs the pipeline on pull requests and comments with what they change.

    mlnb run --data churn.csv --target Churn    run the pipeline; unchanged stages are reused
    mlnb lab                                    open the notebooks in JupyterLab; a draft reads the latest run
    mlnb check                                  check the stage notebooks
    mlnb serve                                  serve the model over HTTP
    mlnb diff                                   show what the changes since the default branch do
    mlnb upgrade --dry-run                      show what a newer mlnb would change in the notebooks
    nbdev_test                                  run the notebooks' examples and assertions
    nbdev_export                                write their exported functions to {library}/
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb new`."""
    p.add_argument("folder", type=Path, metavar="NAME", help="folder to create; its name is the name of the project")
    p.add_argument("--data", metavar="DATA", help="data set, written into the notebook of stage ingest")
    p.add_argument("--target", metavar="COLUMN", help="column to predict, written into that of stage problem")
    p.add_argument(
        "-p",
        dest="parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="parameter, written into the notebook of its stage",
    )
    p.add_argument("--with-model", action="store_true", help="add an example of a custom model family in nbs/models")
    p.add_argument("--with-encoder", action="store_true", help="add an example of an encoder in nbs/encoders")
    p.add_argument("--with-metric", action="store_true", help="add an example of a custom metric in nbs/metrics")
    p.add_argument("--with-source", action="store_true", help="add an example of a custom source in nbs/sources")
    p.epilog = (
        "examples:\n  mlnb new churn --data churn.csv --target Churn && cd churn && mlnb run\n"
        "  mlnb new sales --data sales.csv --target units -p problem.task forecasting\n"
        "  mlnb new churn --with-model             with a scikit-learn estimator that the search tries, too\n"
        "  mlnb new my_project                     with the data of the built-in example"
    )


def main(args: argparse.Namespace) -> int:
    """Create the project and print the next commands; return 0."""
    folder = args.folder.expanduser().resolve()
    examples = [kind for kind in EXAMPLES if getattr(args, f"with_{kind}")]
    library = create(folder, args.data, args.target, examples, [(name, text) for name, text in args.parameter])
    configure_git(Project.find(folder))
    path = _display_path(folder)
    about = args.data or "the built-in example"
    print(f"Created {path}: stage notebooks in {path}/nbs/stages, exported functions in {path}/{library}.\n")
    for kind in examples:
        print(f"{path}/{EXAMPLES[kind].file} is the example of {EXAMPLES[kind].title}.\n")
    run, lab = (as_found(f"mlnb {verb}", folder) for verb in ("run", "lab"))
    print(f"next:\n  cd {shlex.quote(path)}\n  {run}    run the pipeline on {about}\n  {lab}    open the notebooks")
    if find_spec("nbdime") is None:
        print("\nFor git diffs and merges of notebooks by cell: pip install nbdime, then mlnb lab")
    return 0


def create(
    folder: Path,
    data: str | None = None,
    target: str | None = None,
    examples: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = (),
) -> str:
    """Create a project in `folder`, completely or not at all; return the name of its library.

    Args:
        folder: The new folder.
        data: Data set for the notebooks; a file is named relative to the folder. None: that of the example.
        target: Column to predict; None: that of the example.
        examples: Kinds of the examples that it gets, keys of EXAMPLES.
        pairs: Name and text of each parameter whose value is written into its notebook.

    Raises:
        ProjectError: The folder is not empty or cannot be created.
        ParameterError: There is no such file of data, column or parameter.
    """
    values = {"data": data if data is None else _from_folder(data, folder), "target": target, "known_column": target}
    if data is not None and target is not None:
        check_target(Path(data).expanduser(), target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        state = "not empty" if folder.is_dir() else "a file"
        raise ProjectError(f"{_display_path(folder)} is {state}; expected a new folder, such as {folder.name}_2")
    library = library_name(folder.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            project = Path(temporary, "project")
            _fill(project, folder.name, library)
            _set_values(project, {name: text for name, text in values.items() if text is not None}, pairs)
            for example in (EXAMPLES[kind] for kind in examples):
                (project / example.file).parent.mkdir(parents=True)
                (project / example.file).write_bytes(example.notebook_bytes())
            if folder.exists():
                folder.rmdir()
            project.rename(folder)
    except OSError as error:
        raise ProjectError(f"{_display_path(folder)} cannot be created: {error.strerror or error}.") from error
    return library


def library_name(name: str) -> str:
    """Return an importable name that no other module has, from a folder's name."""
    library = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_") or "project"
    if library[0].isdigit():
        library = f"project_{library}"
    taken = library in sys.stdlib_module_names or find_spec(library) is not None
    return f"{library}_project" if taken else library


def _from_folder(data: str, folder: Path) -> str:
    """Return a data set as the stages in a folder name it. Raises `ParameterError` for a file that does not exist."""
    path = Path(data).expanduser()
    if path.exists():
        return os.path.relpath(path.resolve(), folder)
    if ":" not in data and "${" not in data and not set(data) & set("*?["):
        raise ParameterError(f"--data: no file {data!r}." + similar_file(data))
    return data


def _fill(project: Path, name: str, library: str) -> None:
    template = project_template(name, library)
    texts = {
        "README.md": README.format(name=name, library=library),
        ".gitignore": IGNORED,
        ".gitattributes": attributes_text(),
        "columns.toml": COLUMNS,
        f"{library}/__init__.py": '__version__ = "0.1.0"\n',
    }
    for path, data in {**template.files, **{path: text.encode() for path, text in texts.items()}}.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(data)
    write_template(project, template)


def _set_values(project: Path, values: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> None:
    """Write values of parameters into the notebooks: those of every stage by name, and those of pairs."""
    notebooks = read_notebooks(project / "nbs" / "stages") if values or pairs else {}
    stated = read_pairs(notebooks, pairs)
    for name, notebook in notebooks.items():
        data = notebook.path.read_bytes()
        own = {parameter: item.value for parameter, item in stated.get(name, {}).items()}
        notebook.path.write_bytes(set_defaults(data, {**values, **own}))


def _display_path(path: Path) -> str:
    """Return a path relative to the working directory, if it is inside of it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
