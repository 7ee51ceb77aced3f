"""Bentos and models in BentoML's stores: built once, found again, mended when a kill left half of one."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlnb.engine.digests import digest_file
from mlnb.engine.files import try_lock, write_json
from mlnb.environment import apply
from mlnb.errors import ServingError
from mlnb.serving.packaging.bundles import Bundle, tree_files

BUILDER = Path(__file__).with_name("bento_builder.py")
CERTIFICATE = "certificate.json"
REWRITTEN = "bentofile.yaml"  # BentoML writes its own form of it into the bento


@dataclass(frozen=True)
class Built:
    """A bento that is in BentoML's store.

    Attributes:
        path: of the bento.
        was_there: found, not built.
    """

    tag: str
    model_tag: str
    path: Path
    was_there: bool


def home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of BentoML's stores: `BENTOML_HOME`, else `~/bentoml`."""
    return Path(environment.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser().absolute()


def quiet_environment() -> dict[str, str]:
    """Return this process's environment for a BentoML process: telemetry off, no byte code beside sources."""
    environment = dict(os.environ)
    apply(environment)
    environment.pop("PYTHONWARNINGS", None)
    return environment | {"PYTHONDONTWRITEBYTECODE": "1"}


def find_bento(bundle: Bundle) -> Built | None:
    """Return the bento of a bundle when BentoML's stores hold it and its model whole, else None."""
    bento = home() / "bentos" / bundle.name / bundle.version
    model = home() / "models" / bundle.name / bundle.model_version
    whole = (bento / "bento.yaml").is_file() and _holds(bento / "src", bundle.folder)
    return Built(bundle.tag, bundle.model_tag, bento, True) if whole and _has_model(model, bundle) else None


def build_bento(bundle: Bundle) -> Built:
    """Return the bento of a bundle, building it when it is not there; nothing is downloaded.

    The version comes from the bundle's digest, so the same bundle is always the same bento. Raises
    `ServingError` with the end of BentoML's output when it cannot be built.
    """
    with _locked(home() / ".mlnb-build.lock"):
        found = find_bento(bundle)
        if found is not None:
            return found
        shutil.rmtree(home() / "bentos" / bundle.name / bundle.version, ignore_errors=True)
        model = home() / "models" / bundle.name / bundle.model_version
        if model.exists() and not ((model / "model.yaml").is_file() and _holds(model, bundle.folder / "model")):
            shutil.rmtree(model)
        command = [
            sys.executable,
            "-P",
            str(BUILDER),
            str(bundle.folder),
            bundle.name,
            bundle.version,
            bundle.model_version,
        ]
        done = subprocess.run(
            command, env=quiet_environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise ServingError(f"BentoML could not build {bundle.tag}:\n{last_lines(done.stderr or done.stdout)}")
        path = Path(json.loads(done.stdout.splitlines()[-1])["bento"])
        return Built(bundle.tag, bundle.model_tag, path, False)


def certify(built: Built, certificate: Mapping[str, Any]) -> None:
    """Put the parity certificate into a bento, which it speaks of and so cannot be a part of before."""
    write_json(built.path / "src" / CERTIFICATE, dict(certificate))


def last_lines(text: str, count: int = 15) -> str:
    """Return the end of a long output, indented."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:]) or "    (it printed nothing)"


def _has_model(path: Path, bundle: Bundle) -> bool:
    return (path / "model.yaml").is_file() and _holds(path, bundle.folder / "model")


def _holds(folder: Path, other: Path) -> bool:
    """Whether `folder` has every file of `other`, byte for byte."""
    for path in tree_files(other):
        relative = path.relative_to(other)
        if str(relative) == REWRITTEN:
            continue
        copy = folder / relative
        if not copy.is_file() or copy.stat().st_size != path.stat().st_size or digest_file(copy) != digest_file(path):
            return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process builds, then keep others waiting."""
    while True:
        with try_lock(path) as held:
            if held:
                yield
                return
        time.sleep(0.1)
