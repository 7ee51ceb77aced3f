"""The artifacts of the draft: what stages that a person runs have saved."""

from pathlib import Path
from typing import NamedTuple

from mlnb.engine.run_records import OutputRecord
from mlnb.engine.stage_files import REPORT, StageReport, read_record


class DraftArtifact(NamedTuple):
    """An artifact of the draft: the stage that saved it, when (seconds since 1970), and its record."""

    stage: str
    saved: float
    output: OutputRecord


def newest_draft(folder: Path, artifact: str) -> DraftArtifact | None:
    """Return the artifact that was saved last under a name; None when no stage has saved one.

    Args:
        folder: The folder of the draft.
        artifact: Its name.
    """
    listed = [(path.stat().st_mtime_ns, path) for path in folder.glob(f"*{REPORT}")]
    for modified, path in sorted(listed, reverse=True):
        report = read_record(StageReport, path)
        if report is not None and artifact in report.outputs:
            return DraftArtifact(path.name.removesuffix(REPORT), modified / 1e9, report.outputs[artifact])
    return None
