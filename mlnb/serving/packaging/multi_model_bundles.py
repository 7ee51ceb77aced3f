"""The bundle of a service of several models: their files in one folder, a catalog, and the libraries of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlnb.codec import encode
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import ServingError
from mlnb.methods.encoding.custom_encoders import EncoderCode
from mlnb.methods.encoding.table_encoder import stored_encoders
from mlnb.serving.packaging.bento_stores import bentoml_home
from mlnb.serving.packaging.bundles import (
    MANIFEST,
    VERSION_DIGITS,
    BentoSource,
    Bundle,
    BundleManifest,
    copy_tree,
    digest_tree,
    fill_settings,
    find_service,
)
from mlnb.serving.packaging.imported_modules import copy_modules
from mlnb.serving.packaging.library_requirements import IMPORTED, NEEDED, imported_versions, system_packages
from mlnb.serving.packaging.model_names import tag_name
from mlnb.serving.runtime.model_catalog import CANARY, CATALOG, SHADOW, ModelCatalog, ServedModel
from mlnb.serving.runtime.model_parts import read_json
from mlnb.settings import ServiceSettings

SERVICE = "models"  # name of the service's folder, and of the folder of the models in a bundle
SHARE: float = ServiceSettings.canary_share.default
EACH = "each"  # parameter of the stage that selects the rows of a segment: the column of the segments


@dataclass(frozen=True)
class PackagedModel:
    """A packaged model that a service of several has.

    Attributes:
        bundle: of the model.
        segment: whose rows it predicts; empty: those of all.
        column: of the segments; empty: its run states none.
        canary: the version that serves a share of its keys; None: none.
        shadow: the version whose responses are logged and not returned; None: none.
    """

    bundle: Bundle
    segment: str = ""
    column: str = ""
    canary: Bundle | None = None
    shadow: Bundle | None = None

    @property
    def bundles(self) -> dict[str, Bundle]:
        """The bundles of the model, its canary and its shadow, by the folder of each in a bundle of several models."""
        name = self.bundle.name
        roles = {name: self.bundle, f"{name}@{CANARY}": self.canary, f"{name}@{SHADOW}": self.shadow}
        return {folder: bundle for folder, bundle in roles.items() if bundle is not None}

    @classmethod
    def of(cls, run: Run) -> "PackagedModel":
        """Return the model that a run has packaged. Raises `ServingError` where its bundle is missing."""
        values = [stage.parameters[EACH].value for stage in run.stages.values() if EACH in stage.parameters]
        column = next((value for value in values if isinstance(value, str) and value), "")
        return cls(Bundle.read(run.load("service")), run.record.segment, column)


def make_catalog(
    models: Sequence[PackagedModel], fallback: bool, folder: Path | None = None, share: float = SHARE
) -> ModelCatalog:
    """Return the catalog of models.

    Rows are routed by segment when all models of segments have one column of segments, and no segment has two models.

    Args:
        models: of the service.
        fallback: whether the model of all rows gets the rows of segments without one.
        folder: with the models in folders by their name; None: each is in the folder of its bundle.
        share: of the keys that each canary serves.

    Raises:
        ServingError: two models have one name, or there is no single model of all rows for the fallback.
    """
    names = [model.bundle.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ServingError(f"Found two models named {twice[0]}, expected one version of each.")
    columns = {model.column for model in models if model.segment}
    segments = [model.segment for model in models if model.segment]
    column = next(iter(columns)) if len(columns) == 1 and len(set(segments)) == len(segments) else ""
    general = [model.bundle.name for model in models if not model.segment]
    if fallback and (len(general) != 1 or not column):
        reason = f"found {len(general)} models of all rows" if column else "found no column that names the segments"
        raise ServingError(
            f"Rows of other segments have no fallback: {reason}, expected one next to the models of the segments of "
            "one column. `mlnb run --each COLUMN --with-global` trains it; --name selects models."
        )
    return ModelCatalog(
        models=tuple(
            _served(model, inside=folder is not None, share=share)
            for model in sorted(models, key=lambda model: model.bundle.name)
        ),
        column=column,
        fallback=general[0] if fallback else "",
    )


def _served(model: PackagedModel, inside: bool, share: float) -> ServedModel:
    """Return the entry of a model, whose files are in the folder of the catalog, or in those of their bundles."""
    folders = {name: name if inside else str(bundle.folder.absolute()) for name, bundle in model.bundles.items()}
    name = model.bundle.name
    return ServedModel(
        name=name,
        folder=folders[name],
        segment=model.segment,
        canary=folders.get(f"{name}@{CANARY}", ""),
        share=share,
        shadow=folders.get(f"{name}@{SHADOW}", ""),
    )


def make_multi_model_bundle(
    folder: Path, models: Sequence[PackagedModel], project: Project, fallback: bool = False, share: float = SHARE
) -> BentoSource:
    """Return the bundle written to an empty folder: service, libraries, models, catalog, and the modules of mlnb.

    Args:
        folder: to write to.
        models: of the service.
        project: whose modules the service may import; its name is part of that of the bento.
        fallback: whether the model of all rows gets the rows of segments without one.
        share: of the keys that each canary serves.

    Raises:
        ServingError: the models need different versions of a library, or cannot be in one catalog.
    """
    bento = bento_name(project)
    service, inside = find_service(SERVICE, project), folder / SERVICE
    encoders: list[EncoderCode] = []
    bundles = {name: bundle for model in models for name, bundle in model.bundles.items()}
    for name, bundle in bundles.items():
        copy_tree(bundle.folder / "model", inside / name)
        encoder = read_json(bundle.folder / "model" / "encoder.json")
        encoders += stored_encoders(encoder)
    (inside / CATALOG).write_bytes(encode(make_catalog(models, fallback, inside, share)))
    copy_tree(service, folder)
    pinned = join_requirements({name: bundle.folder / "requirements.txt" for name, bundle in bundles.items()})
    (folder / "requirements.txt").write_text(pinned, "utf-8")
    system = system_packages(imported_versions(pinned))
    settings = fill_settings(service, bento, f"{len(models)} models", pinned, system)
    (folder / "bentofile.yaml").write_text(settings, "utf-8")
    copy_modules(folder, service, [inside / name for name in bundles], encoders, project.root)
    (folder / MANIFEST).write_bytes(encode(BundleManifest(name=bento, service=service.name)))
    listed = "\n".join(f"- `{bundle.model_tag}`{_role_of(name)}" for name, bundle in bundles.items())
    (folder / "README.md").write_text(README.format(name=bento, models=listed), "utf-8")
    return BentoSource(folder, bento, digest_tree(folder)[:VERSION_DIGITS], "")


def _role_of(name: str) -> str:
    """Return the role of the model in a folder, in parentheses; empty for one that is neither canary nor shadow."""
    role = name.partition("@")[2]
    return f" ({role})" if role else ""


def bento_name(project: Project) -> str:
    """Return the name of the bentos of several models of a project."""
    return "-".join(part for part in (tag_name(project.root.name), SERVICE) if part)


def stored_tags(project: Project) -> set[str]:
    """Return the tags of the project's bentos of several models in BentoML's store."""
    folder = bentoml_home() / "bentos" / bento_name(project)
    return {f"{folder.name}:{path.name}" for path in folder.glob("*") if path.is_dir()}


def join_requirements(files: dict[str, Path]) -> str:
    """Return one requirements.txt with the libraries of several, as `library_requirements.pin` writes it.

    Args:
        files: requirements.txt of each model.

    Raises:
        ServingError: two models need different versions of a library.
    """
    versions: dict[str, tuple[str, str]] = {}  # of each library, and a model that needs it
    imported: set[str] = set()
    for model, path in files.items():
        text = path.read_text("utf-8")
        imported |= imported_versions(text).keys()
        for line in text.splitlines():
            library, sign, version = line.partition("==")
            if not sign:
                continue
            other_version, other = versions.setdefault(library, (version, model))
            if other_version != version:
                raise ServingError(
                    f"One service cannot have {other} with {library} {other_version} and {model} with {library} "
                    f"{version}; expected one version. Train the older model again, or serve it alone."
                )
    lines = {library: f"{library}=={version}" for library, (version, _) in sorted(versions.items())}
    direct = [line for library, line in lines.items() if library in imported]
    return "\n".join([IMPORTED, *direct, NEEDED, *(line for line in lines.values() if line not in direct)]) + "\n"


README = """# {name}

One service of these models:

{models}

`POST /models/NAME/predict` takes a list of rows, JSON objects by column name, and returns one prediction a row, in
order. `POST /predict` takes rows of several segments. `GET /models` lists the models, `GET /models/NAME` describes the
columns of one. A model is loaded when it is first requested; `MLNB_MODELS_MEMORY` limits the memory of those that are
loaded, in MB. `MLNB_MODELS` names another catalog, which is read again when it changes. A canary serves a share of the
keys in the header X-Routing-Key, always the same ones; the responses of a shadow are logged and not returned.

    bentoml serve {name}:latest --host 127.0.0.1
"""
