"""The catalog of a service of several models: a file with the name, the folder and the segment of each."""

from pathlib import Path
from typing import ClassVar

from mlnb.codec import Json, Record
from mlnb.errors import UsageError
from mlnb.serving.runtime.model_parts import read_record
from mlnb.settings import ServiceSettings
from mlnb.suggestions import list_names

CATALOG = "models.json"  # name of the file in a folder of models
CANARY, SHADOW = "canary", "shadow"  # roles of a version next to the one in use


class ServedModel(Record, frozen=True, kw_only=True):
    """A model of the service.

    Args:
        name: in the path of its requests.
        folder: with the bundle or its folder `model`; relative to the folder of the catalog.
        segment: whose rows it predicts; empty: those of all.
        canary: folder, as above, of the model that serves a share of the keys; empty: none.
        share: of the canary, above 0 and at most 0.5.
        shadow: folder, as above, of the model whose responses are logged and not returned; empty: none.
    """

    name: str
    folder: str
    segment: str = ""
    canary: str = ""
    share: float = ServiceSettings.canary_share.default
    shadow: str = ""


class ModelCatalog(Record, frozen=True, kw_only=True):
    """The models of a service.

    Args:
        models: in the order that they are listed in.
        column: whose value is the segment of a row; empty: requests name the model in their path.
        fallback: name of the model that gets the rows of segments without one; empty: such rows are refused.
    """

    SCHEMA: ClassVar[str] = "model-catalog"

    models: tuple[ServedModel, ...]
    column: str = ""
    fallback: str = ""

    def segments(self) -> dict[str, str]:
        """Return the name of the model of each segment."""
        return {model.segment: model.name for model in self.models if model.segment}


def read_catalog(path: Path) -> ModelCatalog:
    """Return the catalog in a file.

    Raises:
        OSError: the file cannot be read.
        SchemaError: it holds something else.
        ValueError: two models have one name or one segment, the share of a canary is out of range, or the fallback is
            none of the models.
    """
    catalog = read_record(ModelCatalog, path)
    names = [model.name for model in catalog.models]
    segments = [model.segment for model in catalog.models if model.segment and catalog.column]
    for what, values in (("name", names), ("segment", segments)):
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"{path}: found {what} {twice[0]!r} twice, expected one model for each {what}.")
    for model in catalog.models:
        check_share(model.share, f"{path}: share of {model.name}")
    if catalog.fallback and catalog.fallback not in names:
        raise ValueError(f"{path}: found fallback {catalog.fallback!r}, expected one of {list_names(names)}.")
    return catalog


def check_share(share: float, name: str) -> None:
    """Raise `UsageError` when a canary cannot have this share of the keys; `name` is that of the share."""
    most = ServiceSettings.canary_share.high
    if most is None or not 0 < share <= most:
        raise UsageError(f"{name} is {share:g}; expected above 0 and at most {most:g}.")


def segment_of(value: Json) -> str:
    """Return the name of the segment that a value of a request names, as training names it; empty for none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()
