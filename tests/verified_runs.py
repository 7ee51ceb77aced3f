"""Runs with a verified bento, which a registry takes as versions."""

import pandas as pd
from example_run import Example

from mlnb.engine.formats import save_object
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.methods.contracts.gates import Gate


def make_verified_run(
    project: Project,
    example: Example,
    number: int,
    score: float = 0.86,
    passed: bool = True,
    p: list[float] | None = None,
) -> Run:
    """Return a run with a verified bento: its number, its score, and its predictions of the test rows."""
    run = example.make_run(project, f"20260314-09{number:02d}00-train-a1b2", minute=number, score=score)
    folder = project.root / f"service-{number}"
    folder.mkdir()
    (folder / "model.txt").write_text(f"model {number}")
    truth = ["0", "1"] * 20
    p = p or [0.3, 0.7] * 20
    predictions = pd.DataFrame({"truth": truth, "prediction": truth, "p 0": [1 - x for x in p], "p 1": p})
    gate = Gate(passed=passed, lines=())
    for stage, artifact, value in [
        ("package", "service", folder),
        ("evaluate", "predictions", predictions),
        ("evaluate", "gate", gate),
    ]:
        output = save_object(project.store, value, artifact)
        run.update_stage(stage, outputs={**run.stages[stage].outputs, artifact: output})
    run.save()
    return run
