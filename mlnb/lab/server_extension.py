"""The Jupyter server extension: adds the handlers of the panel, and cleans notebooks when they are saved."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlnb.lab.clean_notebook import clean, read_allowed_keys
from mlnb.lab.labextension import SERVER_EXTENSION

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Return where Jupyter finds the extension."""
    return [{"module": SERVER_EXTENSION}]


def _load_jupyter_server_extension(app: "ServerApp") -> None:
    """Add the handlers to a Jupyter server; what they need is imported at the first request."""
    from mlnb.lab.handlers import routes

    app.contents_manager.register_pre_save_hook(clean_before_save)  # type: ignore[no-untyped-call]
    app.web_app.add_handlers(".*$", routes(app, _add_kernel_folder(app)))  # type: ignore[no-untyped-call]


def clean_before_save(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """Clean a notebook of a project before Jupyter writes it; its outputs stay.

    Args:
        model: What is saved.
        path: Where, relative to the folder of the contents manager.
        contents_manager: The contents manager.
    """
    content, root = model.get("content"), getattr(contents_manager, "root_dir", "")
    if model.get("type") != "notebook" or not isinstance(content, dict) or content.get("nbformat") != 4 or not root:
        return
    folder = Path(root, path.lstrip("/")).parent
    if any(_is_project(parent) for parent in (folder, *folder.parents)):
        clean(content, read_allowed_keys(folder))


def _is_project(folder: Path) -> bool:
    """Return whether a folder is a project of mlnb."""
    try:
        return "[mlnb]" in (folder / "settings.ini").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _add_kernel_folder(app: "ServerApp") -> Path:
    """Return a new folder below whose share/jupyter/kernels the server finds kernels; it is deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mlnb-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    manager = app.kernel_spec_manager
    if manager is not None:
        manager.kernel_dirs = [*manager.kernel_dirs, str(folder / "share" / "jupyter" / "kernels")]
    return folder
