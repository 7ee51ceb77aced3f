"""The charts of optuna-dashboard: trials as a study of Optuna, and its pages behind the same access control."""

import math

import pytest
from dashboard_clients import A, B, open_client
from optuna.storages import InMemoryStorage

from mlnb.dashboard import optuna_pages
from mlnb.dashboard.optuna_pages import add_study
from mlnb.dashboard.project_views import view_projects
from mlnb.dashboard.study_page import runs_with_trials
from mlnb.tracking.artifact_views import Trial


@pytest.fixture(scope="module")
def searched(tmp_path_factory, example):
    """Two runs, of which the second reused the trials of the first."""
    project = example.make_project(tmp_path_factory.mktemp("searched") / "shop")
    example.make_run(project, A)
    example.make_run(project, B, minute=20)
    return project


def studied(*trials, direction="minimize"):
    storage = InMemoryStorage()
    add_study(storage, "a study", direction, trials)
    return storage.get_all_trials(0)


def test_trials_have_their_state_score_and_hyperparameters_by_family():
    first, pruned, failed = studied(
        Trial(number=0, family="linear", score=0.5, params='{"alpha": 1, "scaled": true}'),
        Trial(number=1, family="lightgbm", state="pruned", score=0.7, params='{"num_leaves": 31}'),
        Trial(number=2, family="linear", state="failed", params='{"alpha": 0.1, "scaled": null}'),
    )
    assert [one.state.name for one in (first, pruned, failed)] == ["COMPLETE", "PRUNED", "FAIL"]
    assert first.value == 0.5 and pruned.value is None and pruned.intermediate_values == {0: 0.7}
    assert first.params == {"family": "linear", "linear.alpha": 1.0, "linear.scaled": True}
    assert pruned.params == {"family": "lightgbm", "lightgbm.num_leaves": 31}
    assert failed.params == {"family": "linear", "linear.alpha": 0.1, "linear.scaled": None}


@pytest.mark.parametrize(
    "params",
    [
        None,
        "",
        "{torn",
        "[1]",
        '{"a": [1, {"b": 2}]}',
        '{"a": "<b>"}',
        '{"a": 1}',
        '{"a": 1e400}',
        '{"a": NaN}',
        '{"a": {}}',
    ],
)
@pytest.mark.parametrize("score", [None, 1.0, math.nan, math.inf])
def test_any_trials_can_be_shown(params, score):
    trials = studied(
        Trial(number=0, family="x", score=score, params=params),
        Trial(number=1, family="x", score=1.0, params='{"a": 2}'),
    )
    assert len(trials) == 2 and trials[1].value == 1.0


def test_a_search_that_was_reused_is_shown_once(searched):
    runs = runs_with_trials(next(iter(view_projects([searched]).values())))
    assert [run.id for run in runs] == [A]


def test_without_the_library_the_page_names_the_extra(searched, monkeypatch):
    monkeypatch.setattr(optuna_pages.importlib.util, "find_spec", lambda name: None)
    client = open_client(searched)
    assert "pip install &#39;mlnb[studies]&#39;" in client.get("/p/shop/studies").text.replace("'", "&#39;")
    assert client.get("/dashboard").status_code == 404


def test_its_pages_are_read_only_and_have_a_policy(searched):
    pytest.importorskip("optuna_dashboard")
    client = open_client(searched)
    assert 'href="/dashboard"' in client.get("/p/shop/studies").text
    page = client.get("/dashboard")
    assert page.status_code == 200 and page.headers["content-security-policy"] == optuna_pages.POLICY
    assert page.headers["x-frame-options"] == "DENY"
    names = [study["study_name"] for study in client.get("/api/studies").json()["study_summaries"]]
    assert names == [f"{searched.name}: {A}"]
    client.get("/dashboard/studies/0")
    assert len(client.get("/api/studies").json()["study_summaries"]) == 1
    assert client.get("/static/bundle.js").status_code == 200
    for method, path in (("POST", "/api/studies"), ("DELETE", "/api/studies/0"), ("PUT", "/api/studies/0/note")):
        assert client.request(method, path).status_code == 405
    client.cookies.clear()
    assert client.get("/api/studies").status_code == 401
