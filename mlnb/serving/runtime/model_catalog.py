"""The catalog of a service of several models: a file with the name, the folder and the segment of each."""

from pathlib import Path
from typing import ClassVar

from mlnb.codec import Json, Record
from mlnb.serving.runtime.model_parts import read_record

CATALOG = "models.json"  # name of the file in a folder of models
LISTED = 20  # names that a message lists


class ServedModel(Record, frozen=True, kw_only=True):
    """A model of the service.

    Args:
        name: in the path of its requests.
        folder: with the bundle or its folder `model`; relative to the folder of the catalog.
        segment: whose rows it predicts; empty: those of all.
    """

    name: str
    folder: str
    segment: str = ""


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
        ValueError: two models have one name or one segment, or the fallback is none of them.
    """
    catalog = read_record(ModelCatalog, path)
    names = [model.name for model in catalog.models]
    segments = [model.segment for model in catalog.models if model.segment and catalog.column]
    for what, values in (("name", names), ("segment", segments)):
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"{path}: found {what} {twice[0]!r} twice, expected one model for each {what}.")
    if catalog.fallback and catalog.fallback not in names:
        raise ValueError(f"{path}: found fallback {catalog.fallback!r}, expected one of {list_names(names)}.")
    return catalog


def segment_of(value: Json) -> str:
    """Return the name of the segment that a value of a request names, as training names it; empty for none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def list_names(names: list[str]) -> str:
    """Return the first names for a message, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(sorted(names)[:LISTED]) + (f" and {more} more" if more > 0 else "") if names else "none"
