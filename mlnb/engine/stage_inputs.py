"""What a stage's notebook is told when it runs in a pipeline, and what it says of itself.

A nonce tells the words of one attempt from those of another: it is in the environment of the notebook's kernel.
"""

from pathlib import Path
from typing import Any

from mlnb.engine.files import read_json, write_json
from mlnb.engine.notebook import StageNotebook
from mlnb.engine.parameter_values import Values
from mlnb.engine.runs import Run
from mlnb.engine.stage_jobs import Job
from mlnb.environment import wandb_mode


class Orders:
    """The orders of one run."""

    def __init__(self, run: Run, values: Values, secrets: dict[str, str]) -> None:
        self.run = run
        self.values = values
        self.secrets = secrets  # name -> value that must reach no output
        self.folder = run.folder / "stages"

    def job(self, stage: StageNotebook, nonce: str) -> Job:
        """Return the job of executing a stage's notebook."""
        project = self.run.project
        return Job(
            stage=stage.name,
            source=stage.path,
            target=self.target(stage),
            parameters={"run": self.run.id, **self._plain(stage.name)},
            folder=stage.path.parent,
            environment={
                "MLNB_ROOT": str(project.root),
                "MLNB_ORDER": nonce,
                "MLNB_RUN": self.run.id,
                "WANDB_MODE": wandb_mode(project.settings),
                **project.import_path(),
            },
            secrets=self.secrets,
            cell_timeout=project.number("cell_timeout") or None,
            stage_timeout=project.number("stage_timeout") or None,
            opens=stage.opens,
        )

    def target(self, stage: StageNotebook) -> Path:
        """Return where a stage's executed notebook is written."""
        return self.run.folder / "notebooks" / stage.path.name

    def give(self, stage: str, nonce: str, **facts: Any) -> None:
        """Write down what a stage's session reads when it opens: key, inputs, values, scratch, states."""
        order = {"nonce": nonce, "values": self._plain(stage), **facts}
        write_json(self.folder / f"{stage}.order.json", order)

    def said(self, stage: str, nonce: str) -> dict[str, Any] | None:
        """Return what the session has saved and logged so far, and whether it is closed; None before its first word."""
        said = read_json(self.folder / f"{stage}.json")
        return said if said is not None and said["nonce"] == nonce else None

    def progress(self, stage: str) -> dict[str, Any] | None:
        """Return how far a stage has told that it is."""
        note = read_json(self.folder / f"{stage}.progress.json")
        return note if isinstance(note, dict) else None

    def _plain(self, stage: str) -> dict[str, Any]:
        return {name: value.value for name, value in self.values[stage].items()}
