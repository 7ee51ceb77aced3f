"""Build the bento of a bundle and save its model: `python -P bento_builder.py bundle name version model_version`.

It runs in a separate process and imports nothing of mlnb: the service is imported from the bundle's copy, and BentoML
leaves no trace in the process that needs the bento. Its last line is JSON: the paths in BentoML's stores. A bundle of
several models has an empty model_version, and no model in BentoML's store.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal import configuration
from bentoml._internal.configuration.containers import BentoMLContainer


def save_model(bundle: Path, tag: str, store: Any) -> str:
    """Return the path of the model in BentoML's store; save it if it is not there."""
    try:
        return str(store.get(tag).path)
    except bentoml.exceptions.NotFound:
        pass
    with bentoml.models.create(tag, labels={"made-by": "mlnb"}) as model:
        shutil.copytree(bundle / "model", model.path, dirs_exist_ok=True)
    return str(bentoml.models.get(tag).path)


def save_bento(bundle: Path, version: str) -> str:
    """Return the path of the bento that is built from the bundle; nothing is downloaded.

    BentoML requires uv even when nothing is to be locked, and would install it with pip. The bundle pins all versions
    already, so BentoML gets a uv command that it never runs.
    """
    setattr(configuration, "get_uv_command", lambda: ["uv"])  # noqa: B010 -- a typed function is replaced
    bento = bentoml.bentos.build_bentofile(str(bundle / "bentofile.yaml"), version=version, build_ctx=str(bundle))
    return str(bento.path)


if __name__ == "__main__":
    folder, name, version, model_version = sys.argv[1:]
    bundle = Path(folder)
    model = save_model(bundle, f"{name}:{model_version}", BentoMLContainer.model_store.get()) if model_version else ""
    print(json.dumps({"model": model, "bento": save_bento(bundle, version)}))
