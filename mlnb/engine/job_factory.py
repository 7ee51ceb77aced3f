"""The jobs of a run's stages: inputs and environment of each notebook, and what the notebook reports."""

from pathlib import Path
from typing import Any

from mlnb.engine.notebook import StageNotebook
from mlnb.engine.parameter_values import Values
from mlnb.engine.run_records import Outputs
from mlnb.engine.runs import Run
from mlnb.engine.stage_files import (
    ErrorNote,
    ProgressNote,
    StageInputs,
    StageReport,
    WatchedRecord,
    inputs_path,
    progress_path,
    read_error,
    report_path,
    write_record,
)
from mlnb.engine.stage_jobs import Job
from mlnb.settings import ProcessSettings, ProjectSettings


class JobFactory:
    """Makes the jobs of one run and reads the reports of its stages."""

    def __init__(self, run: Run, values: Values, secrets: dict[str, str]) -> None:
        """Prepare the jobs of a run.

        Args:
            run: The run.
            values: The parameters of its stages.
            secrets: Names and values that are removed from outputs.
        """
        self.run = run
        self.values = values
        self.secrets = secrets
        self.folder = run.folder / "stages"
        self._reports: dict[str, WatchedRecord[StageReport]] = {}
        self._progress: dict[str, WatchedRecord[ProgressNote]] = {}

    def job(self, stage: StageNotebook, attempt: str) -> Job:
        """Return the job that executes a stage's notebook."""
        project = self.run.project
        return Job(
            stage=stage.name,
            source=stage.path,
            target=self.target(stage),
            parameters={"run": self.run.id, **self._parameters(stage.name)},
            folder=stage.path.parent,
            environment={
                ProcessSettings.root.variable: str(project.root),
                ProcessSettings.attempt.variable: attempt,
                ProcessSettings.run.variable: self.run.id,
                ProcessSettings.embeddings_cache.variable: str(project.store_root / "embeddings"),
                ProcessSettings.signing_key.variable: "",  # of the process that signs, not of notebooks
                ProjectSettings.wandb_mode.variable: project.settings.wandb_mode,
                **project.import_path(),
            },
            secrets=self.secrets,
            cell_timeout=project.settings.cell_timeout or None,
            stage_timeout=project.settings.stage_timeout or None,
            opening_cell=stage.opening_cell,
        )

    def target(self, stage: StageNotebook) -> Path:
        """Return where a stage's executed notebook is written."""
        return self.run.folder / "notebooks" / stage.path.name

    def write_inputs(
        self,
        stage: str,
        attempt: str,
        key: str,
        inputs: Outputs,
        scratch: str,
        snapshots: dict[int, str],
        low_priority: bool,
    ) -> None:
        """Write what a stage's notebook reads when it opens the stage; see `StageInputs` for the arguments."""
        record = StageInputs(
            attempt=attempt,
            key=key,
            parameters=self._parameters(stage),
            inputs=inputs,
            scratch=scratch,
            snapshots=snapshots,
            low_priority=low_priority,
        )
        write_record(inputs_path(self.folder, stage), record)

    def report(self, stage: str, attempt: str) -> StageReport | None:
        """Return what a stage has reported in this attempt; None before its first report."""
        if stage not in self._reports:
            self._reports[stage] = WatchedRecord(StageReport, report_path(self.folder, stage))
        report = self._reports[stage].read()
        return report if report is not None and report.attempt == attempt else None

    def error(self, stage: str, attempt: str) -> ErrorNote | None:
        """Return the exception that a cell of a stage raised in this attempt, or None."""
        return read_error(self.folder, stage, attempt)

    def progress(self, stage: str) -> ProgressNote | None:
        """Return how far a stage is; None before its first report."""
        if stage not in self._progress:
            self._progress[stage] = WatchedRecord(ProgressNote, progress_path(self.folder, stage))
        return self._progress[stage].read()

    def _parameters(self, stage: str) -> dict[str, Any]:
        return {name: value.value for name, value in self.values[stage].items()}
