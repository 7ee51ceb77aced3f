"""What `mlnb new` copies into a project, and the copy of it that the project keeps as the base of later merges.

The base is one file, `.mlnb-template.zip`, next to settings.ini and committed with the project:
- in the project rather than in the wheel, so that a project of any version can be upgraded;
- committed rather than in `.mlnb`, which is git-ignored: a clone and CI need it, too;
- one compressed file with digests rather than a folder of notebooks, so that no formatter, hook, search or test
  runner changes it or finds every stage twice. `unzip -l .mlnb-template.zip` lists it.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlnb
from mlnb.engine.digests import digest_bytes
from mlnb.engine.documentation_links import documentation_address, resolve_links
from mlnb.engine.files import write_whole
from mlnb.engine.project import builtin_folder
from mlnb.errors import ProjectError

TEMPLATE_FILE = ".mlnb-template.zip"
MANIFEST = "manifest.json"
SCHEMA = 1
SKIPPED = {"__pycache__", ".ipynb_checkpoints"}
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same contents are the same bytes whenever they are written

DEFAULT = """\
# nbdev 2.4 reads [DEFAULT], mlnb the rest. The values of a stage's parameters are in its notebook.
[DEFAULT]
lib_name = {library}
repo = {library}
user = {library}
author = The {name} team
author_email = {library}@example.org
description = {name}
version = 0.1.0
min_python = 3.11
license = apache2
branch = main
git_url = https://example.org/{library}
nbs_path = nbs
lib_path = {library}
doc_path = _docs
recursive = True
tst_flags = slow stage
put_version_in_init = True
update_pyproject = False
black_formatting = False
allowed_metadata_keys =
allowed_cell_metadata_keys = tags
jupyter_hooks = False
clean_ids = True
clear_all = False

"""


@dataclass(frozen=True)
class ProjectTemplate:
    """The files of a new project that upgrades change: settings, stages, bentos and the workflow, as bytes by path."""

    version: str  # of mlnb
    name: str  # of the project
    library: str  # the project's Python package
    files: Mapping[str, bytes]


def installed_template(name: str, library: str, more: Mapping[str, bytes] | None = None) -> ProjectTemplate:
    """Return the template of the installed mlnb for a project of that name; its links lead to files that exist.

    Args:
        name: of the project.
        library: the project's Python package.
        more: files of the project that are generated, as bytes by path.
    """
    source = builtin_folder()
    settings = (source / "settings.ini").read_text(encoding="utf-8")
    address = documentation_address(settings)
    text = DEFAULT.format(name=name, library=library) + settings[settings.index("[mlnb]") :]
    files = {"settings.ini": text.encode(), **(more or {})}
    for folder in ("nbs/stages", "bentos"):
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and not SKIPPED & set(path.parts):
                data = path.read_bytes()
                if path.suffix == ".ipynb":
                    data = resolve_links(data.decode(), address).encode()
                files[path.relative_to(source).as_posix()] = data
    return ProjectTemplate(mlnb.__version__, name, library, files)


def template_bytes(template: ProjectTemplate) -> bytes:
    """Return the contents of `.mlnb-template.zip`."""
    manifest = {
        "schema": SCHEMA,
        "mlnb": template.version,
        "name": template.name,
        "library": template.library,
        "files": {path: digest_bytes(data) for path, data in sorted(template.files.items())},
    }
    entries = {
        MANIFEST: json.dumps(manifest, indent=1, ensure_ascii=False).encode(),
        **dict(sorted(template.files.items())),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in entries.items():
            archive.writestr(zipfile.ZipInfo(path, LONG_AGO), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def write_template(root: Path, template: ProjectTemplate) -> None:
    """Write the template into a project, as the base of the next upgrade."""
    write_whole(root / TEMPLATE_FILE, template_bytes(template))


def read_template(root: Path) -> ProjectTemplate:
    """Return the template that a project was made from or last upgraded to.

    Raises:
        ProjectError: the file is missing, damaged, or of a newer schema.
    """
    path = root / TEMPLATE_FILE
    restore = f"Restore it from version control: git checkout -- {TEMPLATE_FILE}"
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if manifest["schema"] != SCHEMA:
                raise ProjectError(f"{path} has schema {manifest['schema']}; expected {SCHEMA}. Install a newer mlnb.")
            files = {name: archive.read(name) for name in manifest["files"]}
            template = ProjectTemplate(manifest["mlnb"], manifest["name"], manifest["library"], files)
            damaged = [name for name, digest in manifest["files"].items() if digest_bytes(files[name]) != digest]
    except FileNotFoundError as error:
        raise ProjectError(
            f"There is no {path}; `mlnb new` writes it, and upgrades start from it. {restore}"
        ) from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as error:
        if isinstance(error, ProjectError):
            raise
        raise ProjectError(f"{path} is damaged: {error}. {restore}") from error
    if damaged:
        raise ProjectError(f"{path} is damaged: {', '.join(damaged)} changed. {restore}")
    return template


def find_root(start: Path) -> Path:
    """Return the folder around `start` that holds a template. Raises `ProjectError` when there is none."""
    for folder in (start, *start.parents):
        if (folder / TEMPLATE_FILE).is_file():
            return folder
    raise ProjectError(
        f"No {TEMPLATE_FILE} in {start} or above; expected a project made by `mlnb new`. Where the file was deleted, "
        f"restore it from version control: git checkout -- {TEMPLATE_FILE}"
    )
