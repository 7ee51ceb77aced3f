"""What of a job is done: whole part files beside the output, each of which says where it ends."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from mlnb.engine.digests import digest_value
from mlnb.engine.files import read_json, write_json, write_whole, writing

Place = tuple[int, int]  # file, position in it


@dataclass
class Counts:
    """Rows of a job so far; read is always scored and bad together."""

    read: int = 0
    scored: int = 0
    bad: int = 0
    in_file: int = 0  # rows of the file that the next unit is of, before it


class Ledger:
    """The folder of a job's parts. A part is there whole or not at all, and so is what it says of itself."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        """Take up the job in `folder`, when it is this very one; anything else there is removed."""
        self.folder = folder
        self.parts: list[Path] = []
        self.place: Place = (0, 0)
        self.counts = Counts()
        key = digest_value(job)
        if read_json(folder / "job.json") != {"key": key}:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_json(folder / "job.json", {"key": key})
        while True:
            said = read_json(self._path(len(self.parts), "json"))
            if said is None:
                break
            self.parts.append(self._path(len(self.parts), "arrow"))
            self.place, self.counts = (said["place"][0], said["place"][1]), Counts(**said["counts"])

    def add(self, tables: list[pa.Table], bad: list[dict[str, Any]], place: Place, counts: Counts) -> None:
        """Write one part: predictions and problems first, then, as the mark that both are whole, where it ends."""
        number = len(self.parts)
        part = self._path(number, "arrow")
        table = pa.concat_tables(tables).unify_dictionaries()
        with writing(part) as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        write_whole(self._path(number, "jsonl"), "".join(json.dumps(line, default=str) + "\n" for line in bad).encode())
        write_json(self._path(number, "json"), {"place": list(place), "counts": vars(counts)})
        self.parts.append(part)
        self.place, self.counts = place, Counts(**vars(counts))

    def finish(self, output: Path, problems: Path | None) -> None:
        """Put the parts together to the output, whole, and remove them."""
        with writing(output) as file:
            (_write_csv if output.suffix == ".csv" else _write_parquet)(self.parts, file)
        if problems is not None and self.counts.bad:
            with writing(problems) as file:
                for number in range(len(self.parts)):
                    with self._path(number, "jsonl").open("rb") as part:
                        shutil.copyfileobj(part, file)
        shutil.rmtree(self.folder)

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:06}.{kind}"


def _write_parquet(parts: list[Path], file: Any) -> None:
    schema = _read(parts[0]).schema
    repeated = [field.name for field in schema if pa.types.is_dictionary(field.type)]  # the others are all different
    with pq.ParquetWriter(file, schema, use_dictionary=repeated) as writer:
        for part in parts:
            writer.write_table(_read(part).cast(schema))


def _write_csv(parts: list[Path], file: Any) -> None:
    schema = pa.schema(
        [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in _read(parts[0]).schema]
    )
    with pc.CSVWriter(file, schema) as writer:
        for part in parts:
            for batch in _read(part).to_batches():
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def _read(part: Path) -> pa.Table:
    """Return a part, of which only what is looked at comes into memory."""
    return pa.ipc.open_file(pa.memory_map(str(part))).read_all()
