"""The files of the prebuilt JupyterLab extension, which need no toolchain: the modules of `browser` as they are.

JupyterLab lets browsers cache the files of an extension, so their folder is named after a hash of their contents.
`setup.py` loads this module by its path: it imports nothing but the standard library.
"""

import hashlib
import json
from pathlib import Path

NAME = "mlnb"
SOURCES = Path(__file__).with_name("browser")
ENTRY = "remote_entry.js"  # the script that JupyterLab loads; it imports the others
LABEXTENSION = f"share/jupyter/labextensions/{NAME}"
SERVER_CONFIG = f"etc/jupyter/jupyter_server_config.d/{NAME}.json"
SERVER_EXTENSION = "mlnb.lab.server_extension"


def labextension_files(version: str) -> dict[str, bytes]:
    """Return the contents of every file of the extension, by path below the folder `LABEXTENSION`.

    Args:
        version: Of mlnb.
    """
    sources = {path.name: path.read_bytes() for path in sorted(SOURCES.iterdir()) if path.suffix in (".js", ".css")}
    digest = hashlib.sha256()
    for name, data in sources.items():
        digest.update(f"{name} {len(data)}\n".encode() + data)
    folder = f"static/{digest.hexdigest()[:20]}"
    package = {
        "name": NAME,
        "version": version,
        "description": "Pipeline, runs and parameters of an mlnb project in JupyterLab",
        "license": "Apache-2.0",
        "jupyterlab": {"extension": True, "_build": {"load": f"{folder}/{ENTRY}", "extension": "./extension"}},
    }
    text = json.dumps(package, indent=1) + "\n"
    return {"package.json": text.encode()} | {f"{folder}/{name}": data for name, data in sources.items()}


def data_files(version: str) -> dict[str, bytes]:
    """Return the contents of the files outside of the package that a wheel installs, by path below the environment."""
    server = {"ServerApp": {"jpserver_extensions": {SERVER_EXTENSION: True}}}
    files = {f"{LABEXTENSION}/{name}": data for name, data in labextension_files(version).items()}
    return files | {SERVER_CONFIG: (json.dumps(server, indent=1) + "\n").encode()}
