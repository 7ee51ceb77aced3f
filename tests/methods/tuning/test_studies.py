"""Studies: the queue of trials, abandoned trials, and names."""

import json
import socket
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mlnb.errors import SchemaError
from mlnb.methods.contracts.candidates import TrialScores
from mlnb.methods.models.search_spaces import PORTFOLIO, SPACES, default_params
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.studies import (
    abandon_trial,
    distributions,
    enqueue_trial,
    finished_trials,
    is_dead,
    open_study,
    open_trials,
    read_trial,
    report_trial,
    study_name,
    take_trial,
    worker_name,
)
from mlnb.methods.tuning.study_storages import open_storage

FAMILIES = ["linear", "baseline"]


def test_workers_are_identified_by_start_time() -> None:
    assert not is_dead(worker_name()) and is_dead(f"{socket.gethostname()}:999999999:1") and is_dead("")
    assert is_dead(worker_name().rpartition(":")[0] + ":1")  # the id of this process, before it started
    assert not is_dead("another machine:1:1")


def test_names_depend_on_rows_and_settings() -> None:
    one, other = (Fold(np.ones((2, 1)), y, np.ones((1, 1)), np.ones(1)) for y in (np.ones(2), np.zeros(2)))
    assert study_name([one], {"seed": 0}) == study_name([one], {"seed": 0}) != study_name([one], {"seed": 1})
    assert study_name([one], {}) != study_name([other], {})


def test_search_spaces_as_distributions() -> None:
    assert not distributions("baseline") and distributions("lightgbm")["num_leaves"].log


def test_the_database_returns_the_parameters_that_were_enqueued(tmp_path: Path) -> None:
    entries = [(family, {**default_params(family), **changes}) for family, changes in PORTFOLIO]
    for family, space in SPACES.items():  # whole numbers at the ends of continuous ranges
        entries += [(family, {name: int(one.high) if one.high % 1 == 0 else one.high for name, one in space.items()})]
    in_memory = open_study(None, "example", "minimize")
    with open_storage(f"sqlite:///{tmp_path}/study.db") as storage:
        stored = open_study(storage, "example", "minimize")
        for study in (in_memory, stored):
            for index, (family, params) in enumerate(entries):
                enqueue_trial(study, index, family, params, "none", True, list(SPACES))
        for one, other in zip(in_memory.trials, stored.trials, strict=True):
            assert json.dumps(one.params) == json.dumps(other.params)


@pytest.mark.filterwarnings("error")
def test_the_end_of_a_search_closes_its_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *args, **how: opened.append(connect(*args, **how)) or opened[-1]
    )
    with open_storage(f"sqlite:///{tmp_path}/study.db") as storage:
        study = open_study(storage, "example", "minimize")
        enqueue_trial(study, 0, "baseline", {}, "none", True, FAMILIES)
    assert opened
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.total_changes  # noqa: B018 -- raises once it is closed


def test_duplicates_and_abandoned_trials_do_not_count() -> None:
    study = open_study(None, "example", "minimize")
    for _ in range(2):  # two processes enqueue the same index
        enqueue_trial(study, 0, "baseline", {}, "none", True, FAMILIES)
    enqueue_trial(study, 1, "baseline", {}, "none", True, FAMILIES, "churn:3, trial 7")
    report_trial(study, take_trial(study), "complete", TrialScores(score=0.5, fold_scores=(0.4, None)))
    second = take_trial(study)
    assert second.user_attrs["index"] == 1 and take_trial(study) is None
    abandon_trial(study, second.number)
    abandon_trial(study, 0)  # it is finished: nothing happens
    assert list(finished_trials(study)) == [0] and open_trials(study) == set()
    result = finished_trials(study)[0]
    assert result.fold_scores == (0.4, None) and json.loads(result.key) == ["baseline", {}, "none"]
    assert read_trial(study.trials[second.number]).origin == "churn:3, trial 7"


def test_scores_of_another_form_are_an_error() -> None:
    study = open_study(None, "example", "minimize")
    enqueue_trial(study, 0, "baseline", {}, "none", True, FAMILIES)
    trial = take_trial(study)
    trial.set_user_attr("scores", {"score": "high"})
    with pytest.raises(SchemaError, match="trial 0 of the study"):
        read_trial(study.trials[0])
