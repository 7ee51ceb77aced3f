"""Bentos and models in BentoML's stores: built once, found again, and rebuilt after a kill left one incomplete."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlnb.codec import encode
from mlnb.engine.digests import digest_file
from mlnb.engine.files import try_lock, write_whole
from mlnb.environment import apply
from mlnb.errors import ServingError
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.serving.packaging.bundles import BentoSource, tree_files

BUILDER = Path(__file__).with_name("bento_builder.py")
CERTIFICATE = "certificate.json"
REWRITTEN = "bentofile.yaml"  # BentoML writes its form of it into the bento
RunProgram = Callable[[Path, Sequence[str]], "subprocess.CompletedProcess[str] | None"]


@dataclass(frozen=True)
class BuiltBento:
    """A bento in BentoML's store.

    Attributes:
        tag: of the bento.
        model_tag: of its model.
        path: folder of the bento.
        existed: whether it was there before.
    """

    tag: str
    model_tag: str
    path: Path
    existed: bool


def bentoml_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of BentoML's stores: `BENTOML_HOME`, else `~/bentoml`."""
    return Path(environment.get("BENTOML_HOME") or Path.home() / "bentoml").expanduser().absolute()


def bentoml_environment() -> dict[str, str]:
    """Return this process's environment for a BentoML process: without telemetry and without byte code files."""
    environment = dict(os.environ)
    apply(environment)
    environment.pop("PYTHONWARNINGS", None)
    return environment | {"PYTHONDONTWRITEBYTECODE": "1"}


def find_bento(bundle: BentoSource) -> BuiltBento | None:
    """Return the bento of a bundle when BentoML's stores hold it and its model completely, else None."""
    bento = bentoml_home() / "bentos" / bundle.name / bundle.version
    if not ((bento / "bento.yaml").is_file() and _has_copies(bento / "src", bundle.folder)):
        return None
    if bundle.model_version and not _is_stored(bundle):
        return None
    return BuiltBento(bundle.tag, bundle.model_tag, bento, True)


def build_bento(bundle: BentoSource, run: RunProgram | None = None) -> BuiltBento:
    """Return the bento of a bundle, built if it does not exist; nothing is downloaded.

    The version is the digest of the bundle: the same bundle is always the same bento.

    Args:
        bundle: the bundle.
        run: runs the builder where BentoML is imported already, such as `Launcher.run`; None: in a new process.

    Raises:
        ServingError: BentoML cannot build it; the message is the end of BentoML's output.
    """
    with _locked(bentoml_home() / ".mlnb-build.lock"):
        existing = find_bento(bundle)
        if existing is not None:
            return existing
        shutil.rmtree(bentoml_home() / "bentos" / bundle.name / bundle.version, ignore_errors=True)
        if bundle.model_version and not _is_stored(bundle):
            shutil.rmtree(_stored_model(bundle), ignore_errors=True)
        arguments = [str(bundle.folder), bundle.name, bundle.version, bundle.model_version]
        done = run(BUILDER, arguments) if run is not None else None
        if done is None:
            done = subprocess.run(
                [sys.executable, "-P", str(BUILDER), *arguments],
                env=bentoml_environment(),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
        if done.returncode != 0:
            raise ServingError(f"BentoML could not build {bundle.tag}:\n{last_lines(done.stderr or done.stdout)}")
        path = Path(json.loads(done.stdout.splitlines()[-1])["bento"])
        return BuiltBento(bundle.tag, bundle.model_tag, path, False)


def run_in_fork(
    launcher: "subprocess.Popen[bytes]", program: Path, arguments: Sequence[str]
) -> "subprocess.CompletedProcess[str] | None":
    """Run a Python program in a fork of a waiting launcher; None where the launcher has ended.

    Args:
        launcher: a process of bento_launcher.py that has no options yet.
        program: a Python file.
        arguments: of its command line.
    """
    assert launcher.stdin is not None
    with tempfile.TemporaryDirectory(prefix="mlnb-build-") as folder:
        out, errors, code = (Path(folder, name) for name in ("stdout", "stderr", "code"))
        request = {"program": str(program), "arguments": [*arguments], "environment": bentoml_environment()}
        request |= {"stdout": str(out), "stderr": str(errors), "code": str(code)}
        try:
            launcher.stdin.write(json.dumps({"build": request}).encode() + b"\n")
            launcher.stdin.flush()
        except (OSError, ValueError):
            return None
        while not code.exists():
            if launcher.poll() is not None:
                return None
            time.sleep(0.01)
        texts = (path.read_text("utf-8", "replace") for path in (out, errors))
        return subprocess.CompletedProcess([str(program), *arguments], int(code.read_text()), *texts)


def write_certificate(built: BuiltBento, certificate: ParityCertificate) -> None:
    """Write the parity certificate into a bento; it is not part of the bundle, whose digest it states."""
    write_whole(built.path / "src" / CERTIFICATE, encode(certificate))


def last_lines(text: str, count: int = 15) -> str:
    """Return the last lines of an output, indented."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:]) or "    (no output)"


def _stored_model(bundle: BentoSource) -> Path:
    return bentoml_home() / "models" / bundle.name / bundle.model_version


def _is_stored(bundle: BentoSource) -> bool:
    """Return whether BentoML's store of models holds the model of a bundle completely."""
    model = _stored_model(bundle)
    return (model / "model.yaml").is_file() and _has_copies(model, bundle.folder / "model")


def _has_copies(folder: Path, original: Path) -> bool:
    """Return whether `folder` has every file of `original`, byte for byte."""
    for path in tree_files(original):
        relative = path.relative_to(original)
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
        with try_lock(path) as locked:
            if locked:
                yield
                return
        time.sleep(0.1)
