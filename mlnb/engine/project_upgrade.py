"""The upgrade of a project to the installed template: what would change in each file, computed without writing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from mlnb.engine.notebook import FILE_NAME
from mlnb.engine.notebook_document import (
    conflict_places,
    read_document,
    refuse_conflicts,
    validate_document,
    write_document,
)
from mlnb.engine.notebook_merge import merge_notebooks
from mlnb.engine.project_template import TEMPLATE_FILE, ProjectTemplate, template_bytes
from mlnb.engine.settings_merge import merge_settings
from mlnb.engine.text_merge import merge_text
from mlnb.engine.three_way import Status
from mlnb.errors import NotebookError, ProjectError
from mlnb.settings import ProjectSettings
from mlnb.settings_file import read_sections

SETTINGS = "settings.ini"
STAGES = "nbs/stages"


@dataclass(frozen=True)
class FileUpgrade:
    """What the upgrade does with one file. `data` is None when the file stays as it is."""

    path: Path  # relative to the project
    data: bytes | None = None
    note: str = ""
    counts: Mapping[Status, int] = field(default_factory=dict)  # cells of a notebook
    conflicts: tuple[str, ...] = ()
    delete: Path | None = None  # the file's former path, when it gets another number


@dataclass(frozen=True)
class UpgradePlan:
    """All that an upgrade does."""

    base: ProjectTemplate
    new: ProjectTemplate
    files: tuple[FileUpgrade, ...]
    kept_out: frozenset[str] = frozenset()  # template files whose stage name the project uses for another stage

    @property
    def available(self) -> bool:
        """Whether the installed template has anything that the project has not."""
        names = (self.base.files.keys() | self.new.files.keys()) - self.kept_out
        return any(self.base.files.get(name) != self.new.files.get(name) for name in names)

    @property
    def conflicts(self) -> list[str]:
        """One line for each conflict."""
        return [f"{file.path.as_posix()}: {conflict}" for file in self.files for conflict in file.conflicts]

    def contents(self) -> dict[Path, bytes]:
        """Return the files to write, the template last."""
        files = {name: data for name, data in self.new.files.items() if name not in self.kept_out}
        template = ProjectTemplate(self.new.version, self.new.name, self.new.library, files)
        written = {file.path: file.data for file in self.files if file.data is not None}
        return {**written, Path(TEMPLATE_FILE): template_bytes(template)}


def plan_upgrade(root: Path, base: ProjectTemplate, new: ProjectTemplate) -> UpgradePlan:
    """Return what the upgrade from one template to another does to the project in `root`; nothing is written.

    Raises:
        NotebookError: a notebook cannot be read or has unresolved conflicts.
        ProjectError: another file cannot be read.
    """
    files: list[FileUpgrade] = []
    kept_out: set[str] = set()
    notebooks, _ = project_folders(root)
    bases, news = _stages(base.files), _stages(new.files)
    ours = _project_stages(root, notebooks)
    for name in sorted(bases.keys() | news.keys(), key=lambda name: news.get(name) or bases[name]):
        old, fresh, mine = bases.get(name), news.get(name), ours.get(name)
        if fresh is None:
            files += [FileUpgrade(mine, note="stage removed in the new version; yours is kept")] if mine else []
        elif mine is None:
            target = notebooks / PurePosixPath(fresh).name
            note = "deleted in this project" if old else "new stage"
            files.append(FileUpgrade(target, None if old else new.files[fresh], note))
        elif old is None:
            if read_document((root / mine).read_bytes(), mine.name) != read_document(new.files[fresh], fresh):
                kept_out.add(fresh)
                files.append(FileUpgrade(mine, note="yours is kept; the new version has a stage of this name"))
        else:
            file = _upgrade_notebook(root, mine, base.files[old], new.files[fresh])
            files.append(_renumbered(root, file, PurePosixPath(old).name, PurePosixPath(fresh).name))
    others = (base.files.keys() | new.files.keys()) - set(bases.values()) - set(news.values())
    files += [
        _upgrade_text(root, name, base.files.get(name), new.files.get(name))
        for name in sorted(others, key=lambda name: (name != SETTINGS, name))
    ]
    return UpgradePlan(base, new, tuple(files), frozenset(kept_out))


def project_folders(root: Path) -> tuple[Path, Path]:
    """Return the folders of the stage notebooks and of the store, relative to the project.

    Does not check the settings, because an old project may hold some that this mlnb no longer has.
    """
    values = read_sections(root / SETTINGS).get("mlnb", {})
    notebooks = values.get("notebooks", ProjectSettings.notebooks.default)
    return Path(notebooks), Path(values.get("store", ProjectSettings.store.default))


def _stages(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return stage name -> path of the notebooks of a template."""
    names = {name: FILE_NAME.fullmatch(PurePosixPath(name).stem) for name in files if name.startswith(f"{STAGES}/")}
    return {match[2]: name for name, match in names.items() if match}


def _project_stages(root: Path, folder: Path) -> dict[str, Path]:
    """Return stage name -> path of the project's notebooks, relative to it."""
    stages: dict[str, Path] = {}
    for path in sorted((root / folder).glob("*.ipynb")):
        match = FILE_NAME.fullmatch(path.stem)
        if match and match[2] in stages:
            raise NotebookError(f"{path.name} and {stages[match[2]].name} are both stage {match[2]!r}; rename one.")
        if match:
            stages[match[2]] = path.relative_to(root)
    return stages


def _upgrade_notebook(root: Path, path: Path, base: bytes, new: bytes) -> FileUpgrade:
    ours = read_document((root / path).read_bytes(), path.name)
    if base == new:
        return FileUpgrade(path, counts={Status.KEPT: len(ours.cells)})
    refuse_conflicts(ours, path.name)
    merge = merge_notebooks(read_document(base, path.name), ours, read_document(new, path.name))
    if merge.document == ours:
        return FileUpgrade(path, counts=merge.counts)
    data = write_document(merge.document)
    validate_document(data, path.name)
    return FileUpgrade(path, data, counts=merge.counts, conflicts=tuple(conflict_places(merge.document)))


def _renumbered(root: Path, file: FileUpgrade, old: str, new: str) -> FileUpgrade:
    """Return the upgrade of a notebook under its new number, unless the project has numbered it itself."""
    if file.path.name != old or old == new:
        return file
    data = file.data or (root / file.path).read_bytes()
    return replace(file, path=file.path.with_name(new), data=data, note=f"was {old}", delete=file.path)


def _upgrade_text(root: Path, name: str, base: bytes | None, new: bytes | None) -> FileUpgrade:
    path = Path(name)
    ours = (root / path).read_bytes() if (root / path).is_file() else None
    if base == new or ours == new:
        return FileUpgrade(path)
    if ours is None:
        return FileUpgrade(path, new, "new file") if base is None else FileUpgrade(path, note="deleted in this project")
    if base is None and path.parts[0] != "bentos":  # the project was made before its template had this file
        return FileUpgrade(path, note="yours is kept; merged from the next version on")
    if new is None:
        return FileUpgrade(path, note="removed in the new version; yours is kept")
    try:
        texts = [(data or b"").decode("utf-8-sig").replace("\r\n", "\n") for data in (base, ours, new)]
    except UnicodeDecodeError as error:
        raise ProjectError(f"{root / path} is not UTF-8: {error}") from error
    conflicts: tuple[str, ...]
    if name == SETTINGS:
        text, conflicts = merge_settings(*texts)
    else:
        text, count = merge_text(*texts)
        conflicts = (f"{count} conflict{'s' * (count > 1)}, each between `<<<<<<<` and `>>>>>>>`",) if count else ()
    data = text.replace("\n", "\r\n" if b"\r\n" in ours else "\n").encode()
    return FileUpgrade(path, None if data == ours else data, "" if data == ours else "merged", conflicts=conflicts)
