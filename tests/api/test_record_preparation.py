"""What follows a run is prepared while its stages run."""

import contextlib
import json

from waiting import wait_for

from mlnb.api.record_preparation import RecordPreparation
from mlnb.engine.events import StageFinished, StageReused, StageStarted
from mlnb.engine.run_records import StageRecord
from mlnb.engine.runs import create_run
from mlnb.reports.notebook_pages import highlighted


def test_code_of_stages_that_have_ended_is_highlighted_ahead(tmp_path, example):
    run = create_run(example.make_project(tmp_path / "shop"), "train")
    names = ("finished", "reused", "started", "missing")
    for name in names:
        run.record.stages[name] = StageRecord(notebook=f"notebooks/{name}.ipynb")
        cell = {"cell_type": "code", "source": f"{name}_of_this_test = 1", "outputs": [], "metadata": {}}
        if name != "missing":
            (run.folder / "notebooks").mkdir(exist_ok=True)
            (run.folder / f"notebooks/{name}.ipynb").write_text(json.dumps({"cells": [cell]}))
    highlighted.cache_clear()
    with contextlib.closing(RecordPreparation()) as preparation:
        preparation(StageStarted(run, "started", ""))
        preparation(StageFinished(run, "missing"))
        preparation(StageReused(run, "reused"))
        preparation(StageFinished(run, "finished"))
        wait_for(lambda: highlighted.cache_info().currsize == 2, 30, "the code of two stages")
    misses = highlighted.cache_info().misses
    for name in names[:2]:
        assert name in highlighted(f"{name}_of_this_test = 1")
    assert highlighted.cache_info().misses == misses
    assert list((run.project.store_root / "cache" / "archives").iterdir())  # half of the stages have ended
