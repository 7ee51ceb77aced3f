"""The files that a project's JupyterLab is started with, in the project's store: the extension and the warm kernel.

They are written at each start, so that a checkout or an upgraded installation is always served its own version.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import mlnb
from mlnb.engine.files import make_folder, write_whole
from mlnb.engine.project import Project
from mlnb.kernels.driver import jupyter_kernel
from mlnb.lab.labextension import data_files
from mlnb.settings import ProcessSettings

KERNEL = "python3"  # the kernel that notebooks name; it is the warm one, so that their metadata need not change
SHARE, CONFIG = Path("share", "jupyter"), Path("etc", "jupyter")
PAGE_CONFIG = "etc/jupyter/labconfig/page_config.json"
QUIET = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # asks whether to fetch news


def prepare(project: Project, *first: Path) -> dict[str, str]:
    """Write the files; return the environment variables with which JupyterLab finds them, and terminals find `mlnb`.

    Args:
        project: The project.
        first: Folders in which Jupyter looks before that of the project.

    Raises:
        StoreFull: The disk is full.
    """
    folder = project.store_root / "jupyter"
    _write_files(folder, {**data_files(mlnb.__version__), PAGE_CONFIG: json.dumps(QUIET).encode()})
    if project.settings.kernels == "warm":
        jupyter_kernel.install(folder, KERNEL, "Python 3 (mlnb, warm)")
    else:
        shutil.rmtree(folder / SHARE / "kernels", ignore_errors=True)
    return {
        ProcessSettings.root.variable: str(project.root),
        ProcessSettings.embeddings_cache.variable: str(project.store_root / "embeddings"),
        "JUPYTER_PATH": first_on_path("JUPYTER_PATH", *first, folder / SHARE),
        "JUPYTER_CONFIG_PATH": first_on_path("JUPYTER_CONFIG_PATH", folder / CONFIG),
        "PATH": first_on_path("PATH", Path(sys.executable).parent),
    }


def first_on_path(variable: str, *folders: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the value of a variable that lists folders, with more of them in front."""
    others = environment.get(variable, "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(filter(None, [*map(str, folders), *others])))


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that has no others, unless it has them already."""
    if all((folder / name).is_file() and (folder / name).read_bytes() == data for name, data in files.items()):
        return
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        make_folder((folder / name).parent)
        write_whole(folder / name, data)
