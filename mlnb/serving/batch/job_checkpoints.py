"""Progress of a job on disk: whole part files next to the output, each with the position at which it ends."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from mlnb.engine.digests import digest_value
from mlnb.engine.files import read_json, write_json, write_whole, writing
from mlnb.errors import UsageError
from mlnb.serving.runtime.model_parts import Row

Position = tuple[int, int]  # index of a file in the input, position in it


@dataclass
class Counts:
    """Rows of a job so far; `read` is always `scored` plus `bad`.

    Args:
        read: rows that were read.
        scored: rows with a prediction.
        bad: rows that do not fit the schema.
        in_file: rows of the file that the next unit belongs to, before that unit.
    """

    read: int = 0
    scored: int = 0
    bad: int = 0
    in_file: int = 0


@dataclass(frozen=True)
class BadRow:
    """A value that does not fit the schema: one line of the quarantine file.

    Args:
        row: number of the row in its file, from 0.
        column: name of the column.
        found: the value, as text.
        expected: what would fit.
        values: the whole row.
        file: URL of the file, when the input has several.
    """

    row: int
    column: str
    found: str
    expected: str
    values: Row
    file: str | None = None

    def to_line(self) -> str:
        """Return a line of JSON."""
        fields = asdict(self)
        file = fields.pop("file")
        return json.dumps(fields if file is None else {"file": file, **fields}, default=str) + "\n"


@dataclass(frozen=True)
class JobKey:
    """What makes two jobs the same, so that one continues the other.

    Args:
        files: URL of each file, and a digest of what it and its version are.
        model: version of the model.
        keep: columns of the input in the output.
        quarantine: whether bad rows are put aside.
        workers: processes, on which the size of slices depends.
    """

    files: list[list[str]]
    model: str
    keep: list[str]
    quarantine: bool
    workers: int


class Checkpoint:
    """The folder of a job's parts. A part and its position are each written whole or not at all.

    Args:
        folder: where the parts are; those of another job are removed.
        job: the job that is continued, or begun.
    """

    def __init__(self, folder: Path, job: JobKey) -> None:
        self.folder = folder
        self.parts: list[Path] = []
        self.position: Position = (0, 0)
        self.counts = Counts()
        key = digest_value(asdict(job))
        if read_json(folder / "job.json") != {"key": key}:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(folder / "job.json", {"key": key})
        while True:
            end = read_json(self._path(len(self.parts), "json"))
            if end is None:
                break
            self.parts.append(self._path(len(self.parts), "arrow"))
            self.position, self.counts = (end["position"][0], end["position"][1]), Counts(**end["counts"])

    def add(self, tables: list[pa.Table], bad: Sequence[BadRow], position: Position, counts: Counts) -> None:
        """Write one part: predictions and bad rows first, then the position, which marks both as complete."""
        number = len(self.parts)
        part = self._path(number, "arrow")
        schema = _common_schema([table.schema for table in tables])
        table = pa.concat_tables([table.cast(schema) for table in tables]).unify_dictionaries()
        with writing(part) as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        write_whole(self._path(number, "jsonl"), "".join(row.to_line() for row in bad).encode())
        write_json(self._path(number, "json"), {"position": list(position), "counts": vars(counts)})
        self.parts.append(part)
        self.position, self.counts = position, Counts(**vars(counts))

    def finish(self, output: Path, quarantine: Path | None) -> None:
        """Join the parts to the output, which appears whole, and remove them."""
        with writing(output) as file:
            (_write_csv if output.suffix == ".csv" else _write_parquet)(self.parts, file)
        if quarantine is not None and self.counts.bad:
            with writing(quarantine) as file:
                for number in range(len(self.parts)):
                    with self._path(number, "jsonl").open("rb") as part:
                        shutil.copyfileobj(part, file)
        shutil.rmtree(self.folder)

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:06}.{kind}"


def _common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return a schema for tables of which columns that are repeated from the input differ in their types.

    Raises:
        UsageError: no type has the values of all, such as texts and numbers.
    """
    first = schemas[0]
    if all(schema.equals(first) for schema in schemas):
        return first
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        for name in first.names:
            types = list(dict.fromkeys(str(schema.field(name).type) for schema in schemas))
            if len(types) > 1:
                raise UsageError(
                    f"--keep {name}: found {' and '.join(types)} in different files, expected one type; convert one"
                ) from None
        raise


def _write_parquet(parts: list[Path], file: IO[bytes]) -> None:
    schema = _common_schema([_read(part).schema for part in parts])
    repeated = [field.name for field in schema if pa.types.is_dictionary(field.type)]  # other columns rarely repeat
    described = [field.name for field in schema if not pa.types.is_floating(field.type)]  # others: no use
    numbered = {"row": "DELTA_BINARY_PACKED"}  # rows in order: a byte each, and no work to compress them
    with pq.ParquetWriter(
        file, schema, use_dictionary=repeated, write_statistics=described, column_encoding=numbered
    ) as writer:
        for part in parts:
            writer.write_table(_read(part).cast(schema))


def _write_csv(parts: list[Path], file: IO[bytes]) -> None:
    common = _common_schema([_read(part).schema for part in parts])
    schema = pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in common])
    with pc.CSVWriter(file, schema) as writer:
        for part in parts:
            for batch in _read(part).to_batches():
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def _read(part: Path) -> pa.Table:
    """Return a part, of which only the pages in use are in memory."""
    return pa.ipc.open_file(pa.memory_map(str(part))).read_all()
