"""The source code of a run in the store: what is needed to execute the run again, as one archive by digest."""

import io
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import mlnb
from mlnb.codec import Record
from mlnb.engine.confined_names import is_confined, is_digest
from mlnb.engine.digests import StatCache, digest_value
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.project import Project, builtin_folder
from mlnb.engine.run_records import ParameterFingerprint
from mlnb.engine.runs import Run
from mlnb.errors import StoreCorrupted

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # time of every entry, so that equal files make equal archives
LEVEL = 1  # of compression: the archive is written while a user waits
SKIPPED = ("__pycache__", ".ipynb_checkpoints")
CONFIGURATION = (".toml", ".yaml", ".yml")  # files of parameters that are code rather than data
LARGEST = 10_000_000  # bytes of one file: larger ones are data


class SourceArchives(Record, frozen=True, kw_only=True):
    """Digests of the archives in the store.

    Args:
        project: The project's modules, model families, services and configuration.
        library: mlnb itself with its built-in project; None when it is installed from a wheel.
    """

    project: str
    library: str | None = None


def store_sources(run: Run, cache: StatCache) -> SourceArchives:
    """Store the source code of a run; what is in the store already is not written again.

    Args:
        run: The run.
        cache: Digests of source files.
    """
    library = None if _is_wheel() else _store(run.project, library_files(), cache)
    return SourceArchives(project=_store(run.project, project_files(run), cache), library=library)


def project_files(run: Run) -> dict[str, Path]:
    """Return the files of a project's code that a run has used, by path in the project.

    The stage notebooks are not among them: the executed notebooks have their code.
    """
    project = run.project
    files = module_files(
        project, {name for stage in run.stages.values() if stage.key_inputs for name in stage.key_inputs.modules}
    )
    for stage in run.stages.values():
        for value in stage.parameters.values():
            if isinstance(value.value, str) and value.value.endswith(CONFIGURATION):
                files[value.value] = project.root / value.value
    return {name: path for name, path in files.items() if is_confined(name) and _is_code(path)}


def module_files(project: Project, names: Iterable[str]) -> dict[str, Path]:
    """Return the files of modules of a project, as stage keys name them, and of its services, by path; some may lack.

    Args:
        project: The project.
        names: The modules; those of mlnb are left out.
    """
    names = set(names)
    files = {name: project.root / name for name in names if name.endswith(".ipynb")}
    for name in names:
        if name.partition(".")[0] == "mlnb":
            continue
        module = name.replace(".", "/")
        files |= {path: project.root / path for path in (f"{module}.py", f"{module}/__init__.py")}
    for root in () if project.is_builtin else (project.home,):
        files |= _files_below(root, "bentos")
    return files


def named_files(text: str, fingerprint: ParameterFingerprint) -> list[str]:
    """Return the paths of the files that a parameter names, relative to the project, or absolute.

    Args:
        text: The value of the parameter.
        fingerprint: Its part of the stage key.
    """
    if fingerprint.folder is not None:
        return list(fingerprint.folder) if fingerprint.query else [f"{text}/{name}" for name in fingerprint.folder]
    return [text.removeprefix("sqlite:///").partition("::")[0]] if fingerprint.file else []


def library_files() -> dict[str, Path]:
    """Return the files of mlnb and of its built-in project by path, of an installation in editable mode."""
    package, builtin = Path(mlnb.__file__).parent, builtin_folder()
    files = _files_below(package.parent, package.name)
    if builtin == package.parent:  # in a wheel the built-in project is inside of the package
        files["settings.ini"] = builtin / "settings.ini"
        files |= _files_below(builtin, "nbs/stages") | _files_below(builtin, "bentos")
    return files


def unpack_sources(project: Project, digest: str, folder: Path) -> None:
    """Write the files of an archive into a folder.

    Raises:
        StoreCorrupted: The archive is missing or damaged, or a name would leave the folder.
    """
    with zipfile.ZipFile(io.BytesIO(project.store.read(digest))) as archive:
        for name in archive.namelist():
            if not is_confined(name):
                raise StoreCorrupted(
                    f"Archive {digest[:12]} has {name[:80]!r}, which leaves its folder: do not use it."
                )
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))


def _store(project: Project, files: Mapping[str, Path], cache: StatCache) -> str:
    """Return the digest of the archive of some files; its bytes are made only where the files have changed."""
    listing = {name: cache.digest(path) for name, path in sorted(files.items())}
    pointer = project.store_root / "cache" / "archives" / digest_value(listing)
    with suppress(OSError, UnicodeDecodeError):
        digest = pointer.read_text()
        if is_digest(digest) and project.store.intact(digest):
            return digest
    digest = project.store.put_bytes(_archive(listing, files))
    write_whole(pointer, digest.encode(), PRIVATE)
    return digest


def _archive(names: Iterable[str], files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), files[name].read_bytes(), zipfile.ZIP_DEFLATED, LEVEL)
    return buffer.getvalue()


def _files_below(root: Path, folder: str) -> dict[str, Path]:
    """Return the files below a folder of `root`, by path relative to `root`."""
    files: dict[str, Path] = {}
    for parent, folders, names in os.walk(root / folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        path = Path(parent)
        below = path.relative_to(root).as_posix()
        files |= {f"{below}/{name}": path / name for name in names if not name.endswith(".pyc")}
    return {name: path for name, path in files.items() if _is_code(path)}


def _is_code(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST


def _is_wheel() -> bool:
    """Return whether the RECORD of an installed wheel names the modules of mlnb that this process uses."""
    folder = Path(mlnb.__file__).parent.parent
    return any("mlnb/__init__.py," in path.read_text() for path in folder.glob("mlnb-*.dist-info/RECORD"))
