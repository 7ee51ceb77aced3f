"""The session of a stage in a notebook that a person runs."""

import shutil
from pathlib import Path

from mlnb.engine import runs
from mlnb.engine.draft_artifacts import newest_draft
from mlnb.engine.files import make_folder
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord
from mlnb.engine.stage import Stage
from mlnb.engine.stage_files import ProgressNote, StageReport, report_path, write_record
from mlnb.engine.test_set_access import interactive_reader
from mlnb.errors import UnknownRun

FOLDER = "interactive"  # in the folder of a run


class InteractiveStage(Stage):
    """A stage that a person runs: it reads the draft and the latest run, or the run that is named.

    What it saves goes to the draft, or to the folder `interactive` of the named run, whose record never changes.
    """

    def __init__(self, project: Project, name: str, run: str, reads: list[str], writes: dict[str, str]) -> None:
        """Open the stage; see `Stage` for the arguments. Raises `UnknownRun`."""
        super().__init__(project, name, run, reads, writes, reader=interactive_reader())
        self.source = None if run == runs.DRAFT else runs.open_run(project, run)
        self.folder = project.runs / runs.DRAFT if self.source is None else self.source.folder / FOLDER
        make_folder(self.folder)

    @property
    def scratch(self) -> Path:
        """A folder of the draft, deleted when the stage is closed."""
        folder = self.folder / f"{self.name}.scratch"
        make_folder(folder)
        return folder

    def _find(self, artifact: str) -> OutputRecord:
        if self.source is not None:
            return self.source.require_output(artifact)
        draft = newest_draft(self.folder, artifact)
        if draft is not None:
            print(f"{artifact}: from the draft of {draft.stage}")
            return draft.output
        latest = runs.latest_output(self.project, artifact)
        if latest is None:
            raise UnknownRun(f"No run has made {artifact!r}. Run the stage that makes it: `mlnb run --upto STAGE`.")
        run, output = latest
        print(f"{artifact}: from run {run.id}")
        return output

    def _report_progress(self, note: ProgressNote) -> None:
        """Report nothing: the notebook shows its own progress bars."""

    def _report(self) -> None:
        report = StageReport(outputs=self.outputs, metrics=self.metrics, held_out=self.held_out, closed=True)
        write_record(report_path(self.folder, self.name), report)
        self.project.store.digests.save()
        shutil.rmtree(self.folder / f"{self.name}.scratch", ignore_errors=True)
        for artifact, output in self.outputs.items():
            recorded = self.source.output(artifact) if self.source is not None else None
            if recorded is None:
                print(f"{artifact}: saved in {self.folder.name}, {output.bytes:,} bytes")
            elif recorded.digest == output.digest:
                print(f"{artifact}: the same bytes as in run {self.run}")
            else:
                print(f"{artifact}: DIFFERS from run {self.run}")
