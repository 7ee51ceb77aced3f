"""The service bundle: one folder with everything a bento is built from; the same inputs give the same bytes."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import ClassVar

from mlnb.codec import Json, JsonObject, Record, decode, encode
from mlnb.engine.digests import digest_file, digest_value
from mlnb.engine.project import Project, builtin_folder
from mlnb.errors import ServingError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.encoding.embedding_sources import FOLDER, EmbeddingSource, load_embedder
from mlnb.methods.encoding.table_encoder import EncoderOptions, read_options, stored_encoders
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.serving.packaging.bundle_readme import make_readme
from mlnb.serving.packaging.imported_modules import copy_modules, follow_imports
from mlnb.serving.packaging.library_requirements import BASE, pin, required_libraries, system_packages
from mlnb.serving.packaging.model_names import default_name, segment_model, tag_name
from mlnb.serving.runtime.http_messages import MODELS_ROUTE, RECOMMEND_ROUTE, ROUTE
from mlnb.serving.runtime.model_parts import EXAMPLE, read_example, read_json, read_record
from mlnb.serving.runtime.recommendation_handler import FOLDER as RECOMMENDER
from mlnb.serving.runtime.recommendation_handler import GOLDEN as RECOMMENDED
from mlnb.serving.runtime.recommendation_schemas import EXAMPLE as RECOMMEND_EXAMPLE
from mlnb.settings import ProcessSettings

VERSION_DIGITS = 12  # hexadecimal digits of a digest in a version
MANIFEST = "bundle.json"


class BundleManifest(Record, frozen=True, kw_only=True):
    """The file bundle.json.

    Args:
        name: of the bento and of the model.
        service: of the service's folder.
    """

    SCHEMA: ClassVar[str] = "bundle"

    name: str
    service: str


@dataclass(frozen=True)
class BentoSource:
    """What a bento is built from.

    Attributes:
        folder: of all files.
        name: of the bento.
        version: of the bento: the digest of all files.
        model_version: the digest of the files in `model`; empty: it has several models.
    """

    folder: Path
    name: str
    version: str
    model_version: str

    @property
    def tag(self) -> str:
        """The tag of the bento."""
        return f"{self.name}:{self.version}"

    @property
    def model_tag(self) -> str:
        """The tag of the model; that of the bento where it has several."""
        return f"{self.name}:{self.model_version}" if self.model_version else self.tag

    @property
    def all_folders(self) -> dict[str, Path]:
        """The folders with the files of a model, by their name: that of the model, with `@` and a role after it."""
        if self.model_version:
            return {self.name: self.folder / "model"}
        return {path.parent.name: path.parent for path in sorted((self.folder / "models").glob("*/version.txt"))}

    @property
    def model_folders(self) -> dict[str, Path]:
        """The folders of the models that requests name, by the name of the model: no canary and no shadow."""
        return {name: folder for name, folder in self.all_folders.items() if "@" not in name}

    def protections(self) -> list[Protection]:
        """Return what becomes of personal data in the requests of each model, with the key of this process."""
        return [_protection(read_json(folder / "schema.json")) for folder in self.all_folders.values()]

    def route_of(self, name: str) -> str:
        """Return the path of the predictions of a model."""
        return ROUTE if self.model_version else f"{MODELS_ROUTE}/{name}{ROUTE}"

    @property
    def pseudonymized(self) -> list[str]:
        """The columns whose values become pseudonyms, for which the service needs a key."""
        return list(dict.fromkeys(column for each in self.protections() for column in each.pseudonymized))

    def read_example(self) -> Golden:
        """Return a request of no real row to the first model, and its response; empty in earlier versions."""
        return read_example(next(iter(self.model_folders.values())))

    def example_requests(self) -> dict[str, Golden]:
        """Return a request of no real row for each path of the first model, that for recommendations first."""
        name, folder = next(iter(self.model_folders.items()))
        route, requests = self.route_of(name), dict[str, Golden]()
        if (folder / RECOMMENDER).is_dir():
            requests[route.removesuffix(ROUTE) + RECOMMEND_ROUTE] = Golden(rows=[RECOMMEND_EXAMPLE], predictions=[])
        if (example := self.read_example()).rows:
            requests[route] = example
        return requests


@dataclass(frozen=True)
class Bundle(BentoSource):
    """The bundle of one model."""

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """Return the bundle in `folder`. Raises `ServingError` when it holds none."""
        try:
            manifest = decode(BundleManifest, (folder / MANIFEST).read_bytes(), str(folder / MANIFEST))
            model_version = (folder / "model" / "version.txt").read_text("utf-8").strip().partition(":")[2]
        except (OSError, ValueError) as error:
            raise ServingError(
                f"{folder} holds no service bundle ({error}); run `mlnb run --force package`."
            ) from error
        return cls(folder, manifest.name, digest_tree(folder)[:VERSION_DIGITS], model_version)

    def read_golden(self) -> Golden:
        """Return the rows and predictions that the service is verified with."""
        return read_record(Golden, self.folder / "model" / "golden.json")


def prepare_bundles() -> None:
    """Read the modules and versions that every bundle needs, so that `make_bundle` in this process is faster."""
    for service in builtin_folder().glob("bentos/*/service.py"):
        follow_imports(service)
    pin(BASE)


def find_service(name: str, project: Project) -> Path:
    """Return the folder of a service: a path or `bentos/<name>` in the project, else the built-in one.

    Raises:
        ServingError: there is none of that name.
    """
    roots = dict.fromkeys([project.root, project.home, builtin_folder()])
    for folder in [root / path for root in roots for path in (name, f"bentos/{name}")]:
        if (folder / "service.py").is_file():
            return folder
    services = sorted({path.parent.name for root in roots for path in root.glob("bentos/*/service.py")})
    result = f"found {', '.join(services) or 'none'} in {', '.join(f'{root}/bentos' for root in roots)}"
    raise ServingError(f"No service {name!r}: {result}; expected a folder with service.py and bentofile.yaml.")


def make_bundle(
    folder: Path,
    *,
    service: Path,
    name: str,
    contract: ProblemContract,
    schema: JsonObject,
    encoder: JsonObject,
    model: Path,
    golden: Golden,
    example: Golden,
    project: Path | None = None,
    further: Iterable[str] = (),
    segment: str = "",
    recommended: tuple[Path, Golden] | None = None,
) -> Bundle:
    """Return the bundle written to `folder`: service, libraries, model, golden rows, and the modules of mlnb.

    Args:
        folder: created, or emptied first.
        service: folder with service.py and bentofile.yaml.
        name: of the bento; empty: from the target and the task.
        contract: of the model's problem.
        schema: columns of the table, as JSON.
        encoder: fitted encoder, as JSON.
        model: folder of the fitted model.
        golden: rows and predictions that the service is verified with.
        example: a request of no real row, and its response, for documentation.
        project: folder whose modules the service may import.
        further: names of libraries that it needs in addition to those of the model.
        segment: whose rows the model is for; its name is part of that of the bento. Empty: all rows.
        recommended: folder of the recommender, and users with their recommendations; None: the model is of no log.

    Raises:
        EmbeddingError: texts cannot be embedded.
        MissingExtra: a library is not installed.
        UsageError: one of `further` is not a library's name.
    """
    name = segment_model(tag_name(name) if name else default_name(contract), segment)
    shutil.rmtree(folder, ignore_errors=True)
    inside = folder / "model"
    inside.mkdir(parents=True)
    (inside / "contract.json").write_bytes(encode(contract))
    (inside / "golden.json").write_bytes(encode(golden))
    for part, value in {"schema": schema, "encoder": encoder}.items():
        _write_json(inside / f"{part}.json", value)
    copy_tree(model, inside / "fitted")
    if recommended is not None:
        copy_tree(recommended[0], inside / RECOMMENDER)
        (inside / RECOMMENDED).write_bytes(encode(recommended[1]))
    options = read_options(encoder) if "options" in encoder else EncoderOptions()
    if options.embeddings is not None:
        texts = _embedded_texts(options.embeddings, Schema.from_json(schema), [*golden.rows, *example.rows])
        load_embedder(options.embeddings).record(texts, inside / FOLDER)
    model_tag = f"{name}:{digest_tree(inside)[:VERSION_DIGITS]}"
    (inside / "version.txt").write_text(f"{model_tag}\n", "utf-8")
    (inside / EXAMPLE).write_bytes(encode(example))

    encoders = stored_encoders(encoder)
    libraries = [*further, *(name for one in encoders for name in one.libraries)]
    libraries += () if options.embeddings is None else options.embeddings.libraries
    needed = required_libraries(model, libraries)
    copy_tree(service, folder)
    pinned = pin(needed)
    (folder / "requirements.txt").write_text(pinned, "utf-8")
    settings = fill_settings(service, name, model_tag, pinned, system_packages(needed))
    (folder / "bentofile.yaml").write_text(settings, "utf-8")
    copy_modules(folder, service, [model], encoders, project)
    (folder / MANIFEST).write_bytes(encode(BundleManifest(name=name, service=service.name)))
    hidden = _protection(schema).pseudonymized
    readme = make_readme(name, contract, example, hidden, curl(example), inside / RECOMMENDER)
    (folder / "README.md").write_text(readme, "utf-8")
    return Bundle.read(folder)


def digest_tree(folder: Path) -> str:
    """Return one digest of names and bytes of all files below `folder`, without byte code caches."""
    return digest_value({path.relative_to(folder).as_posix(): digest_file(path) for path in tree_files(folder)})


def tree_files(folder: Path) -> list[Path]:
    """Return the files below `folder`, sorted, without byte code caches."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.relative_to(folder).parts)


def curl(
    example: Golden, address: str = "http://127.0.0.1:3000", options: Sequence[str] = (), route: str = ROUTE
) -> str:
    """Return a command line that requests the predictions of an example.

    Args:
        example: Rows to predict.
        address: URL of the service.
        options: Further options of curl, quoted for a shell.
        route: Of the predictions.
    """
    body = json.dumps(example.rows, ensure_ascii=False).replace("'", "'\\''")
    return " ".join(["curl -s", *options, f"{address}{route} -d '{body}'"])


def fill_settings(service: Path, name: str, model_tag: str, pinned: str, system: list[str]) -> str:
    """Return the bentofile.yaml of a service, filled in."""
    values = {
        "name": name,
        "model": model_tag,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "packages": json.dumps([line for line in pinned.splitlines() if not line.startswith("#")]),
        "system": json.dumps(system),
    }
    return Template((service / "bentofile.yaml").read_text("utf-8")).substitute(values)


def _protection(schema: JsonObject) -> Protection:
    return Protection.of(Schema.from_json(schema), ProcessSettings().personal_key)


def _embedded_texts(source: EmbeddingSource, schema: Schema, rows: Sequence[JsonObject]) -> list[str]:
    """Return the texts of rows that are embedded."""
    names = [column.name for column in schema.features if column.kind == "text" and source.embeds(column.name)]
    arrays = to_arrays(list(rows), schema)
    return [text for name in names for text in arrays[name].tolist() if text is not None]


def copy_tree(source: Path, target: Path) -> None:
    """Copy the files of a folder, without byte code caches."""
    for path in tree_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _write_json(path: Path, value: Json) -> None:
    path.write_text(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n", "utf-8")
