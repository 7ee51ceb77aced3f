"""The session of a stage in a pipeline: the run supplies inputs, stage key and folders."""

import os
from pathlib import Path
from typing import Any

from mlnb.codec import encode
from mlnb.engine.files import write_private
from mlnb.engine.notebook_shell import on_cell_error
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord
from mlnb.engine.stage import Stage
from mlnb.engine.stage_files import (
    ProgressNote,
    StageInputs,
    StageReport,
    inputs_path,
    progress_path,
    read_record,
    report_path,
    reserve_error,
    write_error,
    write_record,
)
from mlnb.engine.test_set_access import Access, record_access
from mlnb.settings import ProcessSettings

LOW_PRIORITY = 10  # added to the niceness of a notebook of low priority


class PipelineStage(Stage):
    """A stage that a pipeline runs."""

    def __init__(
        self, project: Project, name: str, run: str, reads: list[str], writes: dict[str, str], inputs: StageInputs
    ) -> None:
        """Open the stage with the inputs of this attempt; see `Stage` for the other arguments."""
        super().__init__(project, name, run, reads, writes, reader=run)
        self.inputs = inputs
        self.folder = project.runs / run / "stages"
        reserve_error(self.folder, name)
        on_cell_error(self._report_error)
        if inputs.low_priority and hasattr(os, "nice"):
            os.nice(LOW_PRIORITY)

    def _belongs_to_run(self) -> bool:
        """Return whether a run waits for this process; false in a debugging session.

        A process that was restored from a snapshot belongs to the run that restored it, which is another one.
        """
        process = ProcessSettings()
        if process.attempt == self.inputs.attempt:
            return True
        folder = self.project.runs / process.run / "stages"
        inputs = read_record(StageInputs, inputs_path(folder, self.name))
        if inputs is None or inputs.attempt != process.attempt:
            return False
        self.inputs, self.folder, self.run = inputs, folder, process.run
        self._reader = process.run
        for digest in self.held_out.values():  # loaded by the run whose snapshot was restored
            record_access(self.project.store.root, Access(digest, self._reader, self._purpose))
        if self.held_out:
            self._exchange_accesses()
        reserve_error(folder, self.name)
        return True

    @property
    def scratch(self) -> Path:
        """A folder for files that should survive a kill: the same in every attempt, deleted when one succeeds."""
        return self.project.store.scratch(self.inputs.scratch)

    @property
    def _purpose(self) -> str:
        return self.inputs.key

    def _find(self, artifact: str) -> OutputRecord:
        return self.inputs.inputs[artifact]

    def _report_progress(self, note: ProgressNote) -> None:
        if self._belongs_to_run():
            write_private(progress_path(self.folder, self.name), encode(note))

    def save(self, artifact: str, value: Any) -> None:
        """Save an artifact that the stage declares to write; stages that wait for it may start from now on.

        Raises:
            ContractBroken: The artifact is not declared, or was saved before.
        """
        super().save(artifact, value)
        self._write_report(closed=False)

    def _report(self) -> None:
        if not self._belongs_to_run():
            print(f"{self.name}: nothing is recorded in a debugging session; `mlnb run` runs the edited notebook.")
            return
        self._write_report(closed=True)
        self.project.store.digests.save()

    def _report_error(self, error: BaseException) -> None:
        if self._belongs_to_run():
            write_error(self.folder, self.name, self.inputs.attempt, error)

    def _write_report(self, closed: bool) -> None:
        if self._belongs_to_run():
            report = StageReport(
                attempt=self.inputs.attempt,
                outputs=self.outputs,
                metrics=self.metrics,
                held_out=self.held_out,
                closed=closed,
            )
            write_record(report_path(self.folder, self.name), report)
