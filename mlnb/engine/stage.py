"""The session of a stage: it loads declared inputs, saves declared outputs, and logs metrics."""

import os
import time
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from mlnb.available_memory import available_memory
from mlnb.codec import R
from mlnb.column_files import IN_MEMORY, ColumnFiles
from mlnb.engine.formats import load_object, open_table, save_object
from mlnb.engine.project import Project
from mlnb.engine.run_accesses import accesses_of_runs
from mlnb.engine.run_records import OutputRecord, Outputs
from mlnb.engine.stage_files import ProgressNote
from mlnb.engine.test_set_access import (
    Access,
    OpenedRows,
    count_accesses,
    count_opened,
    is_held_out,
    record_access,
    record_rows,
)
from mlnb.errors import ContractBroken, GateFailed, ParameterError
from mlnb.redaction import redact
from mlnb.settings import ProcessSettings
from mlnb.suggestions import did_you_mean
from mlnb.url_passwords import SECRET

PROGRESS_SECONDS = 0.2  # seconds between two progress notes
LARGE = 1 << 20  # bytes of a stored table from which it may be too large for memory
MEMORY_SHARE = 0.2  # of the available memory that a table may take: a stage holds several of its size for a while


class Stage(ABC):
    """An open stage, as a notebook uses it.

    Attributes:
        metrics: Numbers that were logged.
        outputs: Records of the artifacts that were saved.
        test_set_accesses: For each held-out artifact that was loaded, the number of runs that have loaded it so far.
        held_out: Digest of each held-out artifact that was loaded.
    """

    def __init__(
        self, project: Project, name: str, run: str, reads: list[str], writes: dict[str, str], reader: str
    ) -> None:
        """Open a stage.

        Args:
            project: The project.
            name: Name of the stage.
            run: Id of the run, or "draft".
            reads: Names of the artifacts that it may load.
            writes: Names and descriptions of the artifacts that it saves.
            reader: How accesses to held-out artifacts are recorded.
        """
        self.project = project
        self.name = name
        self.run = run
        self.reads = reads
        self.writes = writes
        self.metrics: dict[str, float] = {}
        self.outputs: Outputs = {}
        self.test_set_accesses: dict[str, int] = {}
        self.held_out: dict[str, str] = {}
        self._reader = reader
        self._last_note = 0.0
        self._secrets: dict[str, str] = {}

    @overload
    def load(self, artifact: str) -> Any: ...

    @overload
    def load(self, artifact: str, kind: type[R]) -> R: ...

    def load(self, artifact: str, kind: type[R] | None = None) -> Any:
        """Return an artifact that the stage declares to read.

        Args:
            artifact: Its name, one of `reads`.
            kind: The class of a typed record; None for tables, arrays, folders and plain JSON.

        Raises:
            ContractBroken: The artifact is not declared.
            SchemaError: A record of another schema or version.
        """
        output = self._find_declared(artifact)
        held_out, store = is_held_out(output.description), self.project.store
        if held_out:
            access = Access(output.digest, self._reader, self._purpose)
            record_access(store.root, access)
            self._exchange_accesses()
            self.test_set_accesses[artifact] = count_accesses(store.root, output.digest)
            self.held_out[artifact] = output.digest
        files = self.column_files if output.format == "table" and output.bytes >= LARGE else IN_MEMORY
        value = load_object(store, output.format, output.digest, kind, f"artifact {artifact!r}", True, files)
        if held_out:
            record_rows(store.root, output.digest, value)
        return value

    def open_table(self, artifact: str) -> Any:
        """Return a table that the stage declares to read; of a long one, columns are read when they are used.

        Args:
            artifact: Its name, one of `reads`.

        Returns:
            A DataFrame, or from 100,000 rows a `ParquetTable`, from which `table[name]` reads a column.

        Raises:
            ContractBroken: The artifact is not declared, or held out: that one is loaded.
        """
        output = self._find_declared(artifact)
        if output.format != "table" or is_held_out(output.description):
            raise ContractBroken(f"Stage {self.name!r} opens {artifact!r}; load it: stage.load({artifact!r}).")
        return open_table(self.project.store, output.digest)

    def count_opened(self, *tables: Any) -> list[OpenedRows]:
        """Return for each table how many rows are in a held-out artifact that another evaluation has loaded before.

        Args:
            tables: Data frames (n, m); the order of their rows and columns does not matter.
        """
        self._exchange_accesses(rows=True)
        own = Access("", self._reader, self._purpose)
        return count_opened(self.project.store, tables, own, accesses_of_runs(self.project))

    def _exchange_accesses(self, rows: bool = False) -> None:
        """Share the accesses of this machine with others, and get theirs, where they share a database."""
        database, root = self.project.database, self.project.store_root
        if database is None:
            return
        from mlnb.engine.shared_accesses import exchange_accesses, exchange_rows  # most projects share none

        exchange_accesses(database, root)
        if rows:
            exchange_rows(database, root)

    def save(self, artifact: str, value: Any) -> None:
        """Save an artifact that the stage declares to write.

        Raises:
            ContractBroken: The artifact is not declared, or was saved before.
        """
        if artifact not in self.writes:
            raise ContractBroken(
                f"Stage {self.name!r} saves {artifact!r} but declares writes={list(self.writes)}; "
                f"add it there with a description.{did_you_mean(artifact, self.writes)}"
            )
        if artifact in self.outputs:
            raise ContractBroken(f"Stage {self.name!r} saves {artifact!r} twice; expected once.")
        self.outputs[artifact] = save_object(self.project.store, value, self.writes[artifact])

    def log(self, **metrics: float) -> None:
        """Log numbers as metrics of the stage; the last value of a name counts."""
        for name, value in metrics.items():
            try:
                self.metrics[name] = float(value)
            except (TypeError, ValueError) as error:
                raise ContractBroken(f"stage.log({name}={value!r}): expected a number.") from error

    def resolve(self, text: str) -> str:
        """Return a text with `${NAME}` replaced from the environment, and the relative path of a file made absolute."""
        expanded = SECRET.sub(lambda match: self._secret(match[1]), text)
        path = self.project.root / expanded
        return str(path) if "://" not in expanded and path.exists() else expanded

    def require(self, passed: bool, message: str) -> None:
        """Raise `GateFailed` with a message unless `passed`."""
        if not passed:
            raise GateFailed(message)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Report how far a long loop is; cheap enough for every step."""
        if time.monotonic() - self._last_note >= PROGRESS_SECONDS or done >= total:
            self._last_note = time.monotonic()
            clean = redact(text, self._secrets)
            self._report_progress(ProgressNote(done=float(done), total=float(total), text=clean))

    def close(self) -> None:
        """Close the stage. Raises `ContractBroken` when a declared output was not saved."""
        missing = [artifact for artifact in self.writes if artifact not in self.outputs]
        if missing:
            raise ContractBroken(
                f"Stage {self.name!r} declares {', '.join(map(repr, missing))} in `writes` and did not save it."
            )
        if "column_files" in vars(self) and (mapped := self.column_files.written):
            print(f"{mapped / 2**20:,.0f} MB of columns were held in files, as they do not fit in memory.")
            self.log(mapped_mb=mapped / 2**20)
        self._report()

    @cached_property
    def column_files(self) -> ColumnFiles:
        """Memory-mapped files for the columns of tables that are too large for memory; see the setting `memory`.

        The limit is a fifth of the memory that is available when it is first used.
        """
        memory = available_memory(self.project.settings.memory)
        return ColumnFiles(self.scratch / "columns", MEMORY_SHARE * memory, memory)

    @property
    def personal_key(self) -> str:
        """The key of the pseudonyms of personal data, from the environment; empty where it is not set."""
        return ProcessSettings().personal_key

    @property
    def _purpose(self) -> str:
        """The stage key, by which the same evaluation is recognized; empty in an interactive session."""
        return ""

    @property
    @abstractmethod
    def scratch(self) -> Path:
        """A folder for files that should survive a kill: the same in every attempt, deleted when one succeeds."""

    def _secret(self, name: str) -> str:
        if name not in os.environ:
            raise ParameterError(
                f"Stage {self.name!r} uses ${{{name}}}, but the environment has no {name}; set it: export {name}=…"
            )
        self._secrets[name] = os.environ[name]
        return os.environ[name]

    def _find_declared(self, artifact: str) -> OutputRecord:
        """Return the record of an artifact. Raises `ContractBroken` for one that is not declared."""
        if artifact not in self.reads:
            raise ContractBroken(
                f"Stage {self.name!r} loads {artifact!r} but declares reads={self.reads}; "
                f"add it there, so that the graph has it.{did_you_mean(artifact, self.reads)}"
            )
        return self._find(artifact)

    @abstractmethod
    def _find(self, artifact: str) -> OutputRecord:
        """Return the record of an artifact."""

    @abstractmethod
    def _report_progress(self, note: ProgressNote) -> None:
        """Report how far the stage is."""

    @abstractmethod
    def _report(self) -> None:
        """Report what the stage made."""
