"""Checks of the values that `mlnb new` writes into the notebooks: the target column, and parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlnb.engine.notebook import StageNotebook
from mlnb.engine.parameters import parse_text
from mlnb.errors import DataError, ParameterError
from mlnb.suggestions import did_you_mean

WHOLE = 20_000_000  # bytes of a file that is read whole; of larger ones with text the first megabyte
HEAD = 1_000_000
TEXTS = (".csv", ".tsv", ".txt")


def check_target(data: Path, target: str) -> None:
    """Raise `ParameterError` when a file of data has no such column; the message names the closest one.

    Other sources, and files that cannot be read here, are left to the stage ingest, which explains them.
    """
    if not data.is_file():
        return
    from mlnb.methods.problem.target_inference import resolve_target

    try:
        names = _columns(data, target)
    except (DataError, OSError, ImportError):
        return
    try:
        resolve_target(target, names)
    except DataError as error:
        raise ParameterError(f"--target: {data.name}: {error}") from None


def _columns(data: Path, target: str) -> list[str]:
    """Return the columns of a file; of a large one from its first lines."""
    from mlnb.methods.tables.data_sources import read_table

    if data.stat().st_size <= WHOLE:
        return [str(name) for name in read_table(str(data.resolve()), expected=(target,))[0].columns]
    if data.suffix == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_schema(data).names)
    if data.suffix not in TEXTS:
        raise DataError(f"{data} is too large to be checked")
    with TemporaryDirectory(prefix="mlnb-new-") as folder, data.open("rb") as file:
        head = Path(folder, data.name)
        head.write_bytes(file.read(HEAD).rpartition(b"\n")[0])
        return [str(name) for name in read_table(str(head), expected=(target,))[0].columns]


def default_values(notebooks: Mapping[str, StageNotebook], pairs: Sequence[Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Return the values of parameters by stage and name.

    Args:
        notebooks: The stages.
        pairs: Name, as `stage.name` or for every stage that has it, and text of each parameter.

    Raises:
        ParameterError: There is no such parameter, or it does not accept the text.
    """
    every = {f"{stage}.{one.name}": (stage, one) for stage, book in notebooks.items() for one in book.parameters}
    values: dict[str, dict[str, Any]] = {}
    for name, text in pairs:
        matches = [every[full] for full in every if name in (full, full.partition(".")[2])]
        if not matches:
            raise ParameterError(f"-p {name}: there is no such parameter.{did_you_mean(name, every)}")
        for stage, parameter in matches:
            value = parse_text(parameter, text, f"-p {name}")
            values.setdefault(stage, {})[parameter.name] = value
    return values
