"""Files with selected rows: of runs, caches, W&B and bentos, which are erased, and the user's own, which are named."""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import read_json
from mlnb.engine.project import Project
from mlnb.engine.tombstones import FOLDER as ERASURES
from mlnb.erasure.file_contents import ContentSearch
from mlnb.erasure.notebook_redaction import PAGE, redact_notebook
from mlnb.erasure.stored_rows import StoredRows
from mlnb.governance.restored_files import FOLDER as RESTORED
from mlnb.serving.packaging.bento_stores import bentoml_home

EMBEDDINGS = "embeddings"  # folder of the store with the vectors of texts, by digest: whose they are is not stored
SEPARATE = (
    "objects",
    ERASURES,
    "erasing",
    "labels",
    "locks",
    "test_set_accesses",
    EMBEDDINGS,
    RESTORED,
)  # folders of the store that others search
KEPT = ("run.json", "manifest.json", "latest.json", "registry.db", "registry.db-journal", "audit_head.json")
WHOLE = ("trees", "reproductions", "scratch")  # folders of the store whose subfolders are deleted as a whole
FOREIGN = (".git", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints")
WANDB = "wandb"
FIGURES = {"images", "html"}  # folders of plots in a W&B run
LARGEST = 256 << 20  # bytes of a file that is decoded; of a larger one only texts are searched
PART, OVERLAP = 16 << 20, 1 << 16  # bytes of such a file that are searched at a time


class Action(StrEnum):
    """What becomes of a location."""

    DELETE = "delete"
    REWRITE = "rewrite"
    REDACT = "remove outputs"
    BY_HAND = "remove there yourself"


class Location(NamedTuple):
    """Something that holds selected rows.

    Args:
        path: File or folder.
        what: What it is.
        action: What becomes of it.
        before: Digest of the file's bytes; empty for a folder.
        new: Its new bytes, when it is rewritten or redacted.
    """

    path: Path
    what: str
    action: Action
    before: str = ""
    new: bytes | None = None


def find_files(project: Project, search: ContentSearch, stored: StoredRows, tags: Iterable[str]) -> Iterator[Location]:
    """Yield the files and folders outside of the object store that hold selected rows.

    Args:
        project: The project.
        search: The conditions and terms.
        stored: The objects that hold them: copies of these are matches, too.
        tags: Tags of the project's bentos and models.
    """
    managed = [project.runs, project.store_root, project.root / WANDB]
    for folder in sorted(path for path in project.runs.glob("*") if path.is_dir()):
        yield from _find_in_run(project, folder, search, stored)
    yield from _find_in_store(project, search, stored)
    yield from _find_wandb(project, search, stored)
    yield from _find_bentos(search, stored, tags)
    for path in _walk(project.root, managed):
        if holds(path, search, stored):
            yield Location(path, "your file", Action.BY_HAND)


def holds(path: Path, search: ContentSearch, stored: StoredRows) -> bool:
    """Return whether a file holds selected rows, or is a copy of an object that does."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        if path.stat().st_size > LARGEST:
            return _holds_in_parts(path, search)
        data = path.read_bytes()
    except OSError:
        return False
    return digest_bytes(data) in stored.objects or search.holds(data, path.name)


def _holds_in_parts(path: Path, search: ContentSearch) -> bool:
    """Return whether a large file holds a text of the selected rows, without reading all of it at once."""
    with path.open("rb") as file:
        before = b""
        while part := file.read(PART):
            if search.terms.in_bytes(before + part):
                return True
            before = part[-OVERLAP:]
    return False


def _walk(root: Path, without: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield the files below a folder, sorted; not those of other tools, and not those of some folders."""
    skipped = {path.resolve() for path in without}
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in FOREIGN and Path(parent, name).resolve() not in skipped
        )
        yield from (Path(parent, name) for name in sorted(names))


def _find_in_run(project: Project, folder: Path, search: ContentSearch, stored: StoredRows) -> Iterator[Location]:
    """Yield the files of a run or of the draft: notebooks are redacted, with their pages and the report."""
    shown = {notebook.rpartition("/")[2]: stage for stage, notebook in _notebooks(folder).items()}
    redacted, report = set(), folder / "report.html"
    for path in _walk(folder):
        if path.name in KEPT or path.is_symlink():
            continue
        data = path.read_bytes()
        if path.suffix == ".ipynb":
            shows_rows = (folder.name, shown.get(path.name, "")) in stored.stages
            new = redact_notebook(data, search.terms, shows_rows)
            if new is not None:
                redacted.add(path.with_suffix(".html"))
                yield Location(path, "notebook", Action.REDACT, digest_bytes(data), new)
        elif path.suffix != ".html" and (digest_bytes(data) in stored.objects or search.holds(data, path.name)):
            yield Location(path, "file of a run", Action.DELETE, digest_bytes(data))
    for path in (path for path in _walk(folder) if path.suffix == ".html"):
        data = path.read_bytes()
        shows = path in redacted or (path == report and redacted) or search.holds(data, path.name)
        if shows and data != PAGE.encode():
            yield Location(path, "page", Action.REDACT, digest_bytes(data), PAGE.encode())


def _notebooks(folder: Path) -> dict[str, str]:
    """Return the executed notebook of each stage of a run, as its record names it."""
    record = read_json(folder / "run.json")
    stages = record.get("stages", {}) if isinstance(record, dict) else {}
    return (
        {name: str(stage.get("notebook") or "") for name, stage in stages.items()} if isinstance(stages, dict) else {}
    )


def _find_in_store(project: Project, search: ContentSearch, stored: StoredRows) -> Iterator[Location]:
    root = project.store_root
    for kind in WHOLE:
        for folder in sorted((root / kind).glob("*")):
            if (
                any(holds(path, search, stored) for path in _walk(folder))
                if folder.is_dir()
                else holds(folder, search, stored)
            ):
                yield Location(folder, "cache", Action.DELETE)
    for path in _walk(root, [root / name for name in (*SEPARATE, *WHOLE)]):
        if path.name in KEPT or (path.parent.parent == root / "predictions" and path.suffix in (".parquet", ".jsonl")):
            continue
        if holds(path, search, stored):
            yield Location(path, "cache", Action.DELETE, digest_bytes(path.read_bytes()))


def _find_wandb(project: Project, search: ContentSearch, stored: StoredRows) -> Iterator[Location]:
    """Yield folders of W&B runs, which are deleted as a whole, and other files of W&B."""
    root = project.root / WANDB
    affected = {run for run, _ in stored.stages}
    for folder in sorted(path for path in root.glob("*run-*") if path.is_dir() and not path.is_symlink()):
        files = [*_walk(folder)]
        has_figures = any(run in folder.name for run in affected) and any(
            FIGURES.intersection(path.parts) for path in files
        )
        if has_figures or any(holds(path, search, stored) for path in files):
            yield Location(folder, "W&B run", Action.DELETE)
    for path in _walk(root, root.glob("*run-*")):
        if holds(path, search, stored):
            yield Location(path, "file of W&B", Action.DELETE, digest_bytes(path.read_bytes()))


def _find_bentos(search: ContentSearch, stored: StoredRows, tags: Iterable[str]) -> Iterator[Location]:
    home = bentoml_home()
    for tag in sorted(set(tags)):
        name, _, version = tag.partition(":")
        for kind in ("bentos", "models"):
            folder = home / kind / name / version
            if version and folder.is_dir() and any(holds(path, search, stored) for path in _walk(folder)):
                yield Location(folder, "bento" if kind == "bentos" else "model of a bento", Action.DELETE)
