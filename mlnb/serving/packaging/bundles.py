"""The service bundle: one folder with everything a bento is made of; the same inputs give the same bytes."""

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from mlnb.codec import Record, encode
from mlnb.engine.digests import digest_file, digest_value
from mlnb.engine.project import Project, builtin_folder
from mlnb.errors import ServingError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.packaging.imported_modules import follow_imports
from mlnb.serving.packaging.library_requirements import libraries, pin, system_packages
from mlnb.serving.runtime.service_parts import read_record

VERSION_DIGITS = 12  # hexadecimal digits of a digest that stand for a version
LONGEST_NAME = 40  # characters; BentoML allows 63


@dataclass(frozen=True)
class Bundle:
    """What a bundle's folder says of itself.

    Attributes:
        name: of the bento and of the model.
        version: of the bento: from the digest of all files.
        model_version: from the digest of the files in `model`
    """

    folder: Path
    name: str
    version: str
    model_version: str

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """Return the bundle in `folder`; raises `ServingError` when it is none."""
        try:
            name = json.loads((folder / "bundle.json").read_text("utf-8"))["name"]
            model_version = (folder / "model" / "version.txt").read_text("utf-8").strip().partition(":")[2]
        except (OSError, ValueError, KeyError) as error:
            raise ServingError(
                f"{folder} holds no service bundle ({error}); run `mlnb run --force package`."
            ) from error
        return cls(folder, name, digest_tree(folder)[:VERSION_DIGITS], model_version)

    def read_golden(self) -> Golden:
        """Return the rows and predictions that the service is verified with."""
        return read_record(Golden, self.folder / "model" / "golden.json")

    @property
    def tag(self) -> str:
        """The bento's tag."""
        return f"{self.name}:{self.version}"

    @property
    def model_tag(self) -> str:
        """The model's tag."""
        return f"{self.name}:{self.model_version}"


def find_service(name: str, project: Project) -> Path:
    """Return the folder of a service: the project's own, a path or `bentos/<name>`, else the built-in one.

    Raises `ServingError` when there is neither.
    """
    homes = dict.fromkeys([project.root, project.home, builtin_folder()])
    for folder in [home / place for home in homes for place in (name, f"bentos/{name}")]:
        if (folder / "service.py").is_file():
            return folder
    known = sorted({path.parent.name for home in homes for path in home.glob("bentos/*/service.py")})
    found = f"found {', '.join(known) or 'none'} in {', '.join(f'{home}/bentos' for home in homes)}"
    raise ServingError(f"No service {name!r}: {found}; expected a folder with service.py and bentofile.yaml.")


def make_bundle(
    folder: Path,
    *,
    service: Path,
    name: str,
    contract: ProblemContract,
    schema: dict[str, Any],
    encoder: dict[str, Any],
    model: Path,
    golden: Golden,
    project: Path | None = None,
    further: Iterable[str] = (),
) -> Bundle:
    """Return the bundle written to `folder`: service, libraries, model, golden rows, mlnb's own part.

    Args:
        folder: made here; emptied first.
        service: folder with service.py and bentofile.yaml.
        name: of the bento; empty: from the target and the task.
        model: folder of the fitted model.
        project: folder whose modules the service may import.
        further: names of libraries that it needs beside those of the model.
    """
    name = tag_name(name) if name else default_name(contract)
    shutil.rmtree(folder, ignore_errors=True)
    inside = folder / "model"
    inside.mkdir(parents=True)
    parts: dict[str, Record] = {"contract": contract, "golden": golden}
    for part, record in parts.items():
        (inside / f"{part}.json").write_bytes(encode(record))
    for part, value in {"schema": schema, "encoder": encoder}.items():
        _write_json(inside / f"{part}.json", value)
    _copy_tree(model, inside / "fitted")
    model_tag = f"{name}:{digest_tree(inside)[:VERSION_DIGITS]}"
    (inside / "version.txt").write_text(f"{model_tag}\n", "utf-8")

    needed = libraries(model, further)
    _copy_tree(service, folder)
    pinned = pin(needed)
    (folder / "requirements.txt").write_text(pinned, "utf-8")
    settings = _settings(service, name, model_tag, pinned, system_packages(needed))
    (folder / "bentofile.yaml").write_text(settings, "utf-8")
    for place, source in follow_imports(service / "service.py", project).items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / place)
    _write_json(folder / "bundle.json", {"name": name, "service": service.name})
    (folder / "README.md").write_text(_readme(name, contract, golden), "utf-8")
    return Bundle.read(folder)


def tag_name(text: str) -> str:
    """Return `text` as BentoML allows it in a name: small letters, digits, dots, dashes; maybe empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain)[:LONGEST_NAME].strip("-.")


def default_name(contract: ProblemContract) -> str:
    """Return a name from what is predicted: `survived-classifier`, `mpg-regressor`, `relevance-ranker`."""
    kind = traits_of(contract.task).model_kind
    return "-".join(part for part in (tag_name(str(contract.target or "")), kind) if part)


def digest_tree(folder: Path) -> str:
    """Return one digest for names and bytes of all files below `folder`, byte code caches apart."""
    return digest_value({path.relative_to(folder).as_posix(): digest_file(path) for path in tree_files(folder)})


def tree_files(folder: Path) -> list[Path]:
    """Return the files below `folder`, sorted, byte code caches apart."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.relative_to(folder).parts)


def curl(golden: Golden, port: int = 3000, host: str = "127.0.0.1") -> str:
    """Return a command line that asks for the prediction of the first golden row, or of a forecast's whole history."""
    ahead = any("time" in prediction for prediction in golden.predictions[:1])
    rows = golden.rows if ahead else golden.rows[:1]
    body = json.dumps(rows, ensure_ascii=False).replace("'", "'\\''")
    return f"curl -s http://{host}:{port}/predict -d '{body}'"


def _settings(service: Path, name: str, model_tag: str, pinned: str, system: list[str]) -> str:
    facts = {
        "name": name,
        "model": model_tag,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "packages": json.dumps([line for line in pinned.splitlines() if not line.startswith("#")]),
        "system": json.dumps(system),
    }
    return Template((service / "bentofile.yaml").read_text("utf-8")).substitute(facts)


def _readme(name: str, contract: ProblemContract, golden: Golden) -> str:
    answer = json.dumps(golden.predictions[:1], ensure_ascii=False)
    target = contract.target or "anomaly"
    promise = f"Predicts `{target}` from the other columns of a row."
    asking = (
        "`POST /predict` takes a list of rows, JSON objects by column name, and answers one prediction a row, in order:"
    )
    if traits_of(contract.task).unit == "history":
        promise = f"Forecasts `{target}`: {contract.horizon} periods of {contract.frequency} ahead of a history."
        asking = "`POST /predict` takes a history, JSON objects by column name, and answers the steps that follow it:"
    return README.format(name=name, promise=promise, asking=asking, curl=curl(golden), answer=answer)


README = """# {name}

{promise}

    bentoml serve {name}:latest --host 127.0.0.1

On another address, a container's included, it wants a key: `MLNB_API_KEY` in its environment, which clients send as
`Authorization: Bearer ...` or `X-API-Key: ...`; or `MLNB_ALLOW_ANONYMOUS=1`, to answer anyone.

{asking}

    {curl}
    {answer}

Rows that do not fit are refused with status 422 and a list of problems, each with `row`, `column`, `found`
and `expected`; a body that is not a JSON list of objects with 400, too many rows with 413. The header
`X-Model-Version` names the model. `GET /livez` says that the process lives, `GET /readyz` that the model
still gives the held-out rows the predictions that the notebook gave them, `GET /metrics` is for Prometheus,
`GET /docs.json` describes the columns.
"""


def _copy_tree(source: Path, target: Path) -> None:
    for path in tree_files(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n", "utf-8")
