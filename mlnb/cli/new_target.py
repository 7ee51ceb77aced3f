"""Check of the target column that `mlnb new` writes into the notebooks."""

from pathlib import Path
from tempfile import TemporaryDirectory

from mlnb.errors import DataError, ParameterError

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
