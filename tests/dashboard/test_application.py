"""Every page of the dashboard: contents, hostile names, damaged and missing runs, filters, many models."""

import json
import re

import pytest
from dashboard_clients import DAMAGED, HOSTILE, NAMED, A, B, C, open_client
from many_models import add_models
from markupsafe import escape

from mlnb.codec import replace
from mlnb.dashboard.live_run import last_line
from mlnb.dashboard.model_overview import overview
from mlnb.dashboard.project_views import ProjectView, view_projects
from mlnb.dashboard.run_listing import FIXED
from mlnb.dashboard.stage_timeline import draw_stages, moment
from mlnb.engine.files import read_json
from mlnb.engine.run_records import RunState, StageState
from mlnb.engine.runs import open_run
from mlnb.engine.stage_files import CellNote, ProgressNote, progress_path, write_cell, write_record
from mlnb.reports.document_links import link_documents

RUNS = "/p/shop-b"


def text(client, path, status=200):
    response = client.get(path)
    assert response.status_code == status, response.text
    return response.text


def listed(page):
    """Return the runs of a table in their order."""
    return [part.partition('"')[0] for part in page.split('name="run" value="')[1:]]


PAGES = ["/", *(RUNS + page for page in ("", "/runs", "/studies", "/registry", f"/runs/{A}", f"/runs/{C}"))]
PAGES += [f"{RUNS}/compare?run={A}&run={B}", f"{RUNS}/compare?run={A}&run={C}", f"{RUNS}/runs/{NAMED}"]
PAGES += [f"{RUNS}/compare?run={B}&run={NAMED}", f"{RUNS}/runs/{NAMED}/report.html", f"{RUNS}/runs/{A}/report.html"]
PAGES += [f"{RUNS}/runs/{NAMED}/notebooks/25_explore.html", f"{RUNS}/runs?column=tune.trials&column={HOSTILE}"]
PAGES += [f"{RUNS}/runs?q={HOSTILE}&sort={HOSTILE}", f"{RUNS}/runs?state={HOSTILE}"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_escapes_names_and_loads_nothing(client, path):
    page = text(client, path)
    assert "<script>" not in page and "<img src=x" not in page and "shop <b>" not in page and "<u>" not in page
    assert page.count("<script") <= 1 and "://" not in page.replace("http://127.0.0.1", "").split("<body")[0]
    assert page.count("<table") == page.count("</table>") and page.rstrip().endswith("</html>")


def test_runs_are_listed_and_damaged_ones_are_named(client):
    page = text(client, f"{RUNS}/runs")
    assert listed(page) == [str(escape(NAMED)), C, B, A]
    assert f"{DAMAGED}/run.json is damaged" in page and "4 of 4 runs" in page
    assert f'href="{RUNS}/runs/{A}"' in page and "0.9100" in page


@pytest.mark.parametrize(
    "query, expected",
    [
        ("q=roc_auc>0.9", [B]),
        ("q=failed", [C]),
        ("q=titanic survived e5f6", [C]),
        ("state=failed", [C]),
        ("pipeline=other", []),
        ("q=c3d4&target=survived", [B]),
        ("reverse=1&q=-1", [B, C, str(escape(NAMED))]),
        ("sort=value&q=value>0", None),
        ("last=1", [str(escape(NAMED))]),
    ],
)
def test_runs_are_filtered_by_the_address(client, query, expected):
    shown = listed(text(client, f"{RUNS}/runs?{query}"))
    assert shown == expected if expected is not None else shown[0] == B


def test_chosen_columns_can_be_sorted_in_both_orders(client):
    page = text(client, f"{RUNS}/runs?column=evaluate.roc_auc&sort=evaluate.roc_auc")
    assert listed(page)[0] == B and 'aria-sort="descending"' in page
    assert 'value="evaluate.roc_auc" checked' in page
    reverse = "?sort=evaluate.roc_auc&amp;reverse=1&amp;column=evaluate.roc_auc"
    assert reverse in page
    page = text(client, f"{RUNS}/runs{reverse.replace('&amp;', '&')}")
    assert listed(page).index(B) > listed(page).index(A) and 'aria-sort="ascending"' in page


def test_columns_of_the_table_can_be_left_out(client):
    def heads(query: str) -> list[str]:
        page = text(client, f"{RUNS}/runs?{query}")
        return re.findall(r">([^<]+)</a></th>", page)

    every = heads("")
    assert every == ["run", "state", "started", "duration", "data", "target", "winner", "test metric", "gate"]
    assert heads("show=gate&show=target&column=tune.trials") == ["run", "target", "gate", "tune.trials"]
    assert heads("&".join(f"show={name}" for name in FIXED)) == every
    page = text(client, f"{RUNS}/runs?show=gate&show=nothing")
    assert 'value="gate" checked' in page and 'value="target" checked' not in page
    assert "?sort=gate&amp;show=gate" in page and 'data-label="gate"' in page


@pytest.mark.parametrize("query", ["sort=roc_acu", "q=roc_acu>0.9"])
def test_a_mistake_is_reported_and_all_runs_stay(client, query):
    page = text(client, f"{RUNS}/runs?{query}")
    assert "Did you mean" in page and len(listed(page)) == 4


@pytest.mark.parametrize(
    "path, status, words",
    [
        ("/nowhere", 404, "Not Found"),
        ("/p/other/runs", 404, "No project"),
        (f"{RUNS}/runs/nope", 404, "No run is called"),
        (f"{RUNS}/runs/{DAMAGED}", 400, "is damaged"),
        (f"{RUNS}/runs/..%2f..", 404, "not available"),
        (f"{RUNS}/runs/{A}/notebooks/..%2frun.json", 404, "not available"),
        (f"{RUNS}/runs/{A}/notebooks/nope.html", 404, "no executed notebook"),
        (f"{RUNS}/compare?run={A}", 400, "expected 2 to 6"),
        (f"{RUNS}/compare?run={A}&run=nope", 404, "No run is called"),
        (f"{RUNS}/runs?last=x", 400, "expected a number"),
    ],
)
def test_what_is_not_there_has_a_page_that_explains_it(client, path, status, words):
    assert words in text(client, path, status)


def test_a_finished_run_has_its_verdict_and_a_failed_one_its_cause(client):
    page = text(client, f"{RUNS}/runs/{B}")
    assert "0.9100" in page and 'href="/p/shop-b/runs/' in page and "data-running" not in page
    assert f"compare?run={A}&amp;run={B}" in page and "profile smoke" in page
    page = text(client, f"{RUNS}/runs/{C}")
    assert "Stage tune failed" in page and "found &#39;n/a&#39;" in page and "it continues with this stage" in page


def test_reports_and_notebooks_run_nothing(client):
    for name in ("report.html", "notebooks/50_tune.html", "notebooks/50_tune.ipynb"):
        response = client.get(f"{RUNS}/runs/{A}/{name}")
        assert response.status_code == 200
        assert response.headers["content-security-policy"].startswith("sandbox allow-same-origin; default-src 'none'")
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''50_tune.ipynb"
    assert json.loads(response.content)["nbformat"] == 4


def test_the_documents_that_a_report_links_are_served_and_run_nothing(shop, client):
    links = link_documents(open_run(shop, A))
    assert len(links) == 7 and all(
        f'href="{link.file}"' in text(client, f"{RUNS}/runs/{A}/report.html") for link in links
    )
    for link in links:
        response = client.get(f"{RUNS}/runs/{A}/{link.file}")
        assert response.status_code == 200 and A in response.text
        assert response.headers["content-security-policy"].startswith("sandbox allow-same-origin; default-src 'none'")
    assert "&#34;bomFormat&#34;: &#34;CycloneDX&#34;" in text(client, f"{RUNS}/runs/{A}/documents/model.cdx.json")
    for wrong in ("other.html", "model_card.md", "..%2Frun.json"):
        assert client.get(f"{RUNS}/runs/{A}/documents/{wrong}").status_code == 404


def test_a_notebook_that_leads_out_of_the_run_is_not_served(shop, client):
    run = open_run(shop, A)
    path, outside = run.folder / "notebooks" / "50_tune.ipynb", shop.root / "outside.ipynb"
    outside.write_text("{}")
    data = path.read_bytes()
    path.unlink()
    path.symlink_to(outside)
    try:
        assert client.get(f"{RUNS}/runs/{A}/notebooks/50_tune.ipynb").status_code == 404
    finally:
        path.unlink()
        path.write_bytes(data)


def test_the_registry_shows_champion_approvals_and_log(client, shop):
    before = sorted(path.name for path in shop.store_root.iterdir()), read_json(shop.store_root / "audit_head.json")
    page = text(client, f"{RUNS}/registry")
    assert "champion" in page and "1 of 1" in page and "(not verified)" in page and "unaltered" in page
    assert escape(HOSTILE) in page and "champion: – → 1" in page
    after = sorted(path.name for path in shop.store_root.iterdir()), read_json(shop.store_root / "audit_head.json")
    assert before == after


def test_a_comparison_has_parameters_metrics_and_plots(client):
    page = text(client, f"{RUNS}/compare?run={A}&run={B}")
    assert "B minus A" in page and "ROC AUC" in page and "data:image/png" in page
    same = text(client, f"{RUNS}/compare?run=a1b2&run=c3d4")
    assert same.partition("<h1>")[2] == page.partition("<h1>")[2]


def test_runs_of_two_projects_are_compared(shop, forty):
    client = open_client(shop, *forty)
    page = text(client, f"{RUNS}/compare?run={B}&run=calm/{A}")
    assert "<th>project</th>" in page and f'href="/p/calm/runs/{A}"' in page and f'href="{RUNS}/runs/{B}"' in page
    assert "0.9100" in page and "shop &lt;b&gt;, calm" in page
    runs = text(client, f"{RUNS}/runs")
    assert f'<option value="calm/{A}-calm-19">' in runs and '<option value="shop-b/' not in runs
    assert text(client, f"/compare?run=shop-b/{A}&run=calm/{A}&run=") == text(
        client, f"/compare?run=shop-b/{A}&run=calm/{A}"
    )
    assert "expected its project and its id" in text(client, f"/compare?run={A}&run=calm/{A}", 400)
    assert "No project &#39;x&#39;" in text(client, f"/compare?run=x/{A}&run=calm/{A}", 404)
    assert "No run is called" in text(client, f"/compare?run=calm/nope&run=calm/{A}", 404)


def test_an_empty_project_says_what_to_do(empty):
    client = open_client(empty)
    key = next(iter(view_projects([empty])))
    before = sorted(path.name for path in empty.root.rglob("*"))
    for page, words in {"runs": "mlnb run", "studies": "mlnb run", "registry": "No model is registered"}.items():
        assert words in text(client, f"/p/{key}/{page}")
    assert "has no registered model" in text(client, "/")
    assert sorted(path.name for path in empty.root.rglob("*")) == before, "nothing is written"


def test_projects_of_one_name_have_different_addresses(shop, empty):
    views = view_projects([shop, shop, empty])
    assert (
        list(views)[:2] == ["shop-b", "shop-b-2"] and views["shop-b-2"].url("runs", "a/b") == "/p/shop-b-2/runs/a%2Fb"
    )
    page = text(open_client(shop, empty), "/")
    assert "<th>project</th>" in page


def test_runs_are_read_again_only_when_they_have_changed(shop):
    view = ProjectView("shop", shop)
    first, row = view.run(A), view.row(view.run(A))
    assert view.run(A) is first and view.row(first).values["id"] == row.values["id"]
    open_run(shop, A).save()
    assert view.run(A) is not first


@pytest.fixture(scope="module")
def forty(tmp_path_factory, example):
    """Two projects with twenty monitored models each, and the models of the runs themselves."""
    projects = []
    for name, outcome in (("calm", "keep"), ("loud", "retrain")):
        project = example.make_project(tmp_path_factory.mktemp("forty") / name)
        add_models(example.make_run(project, A), [f"{name}-{number:02}" for number in range(20)], outcome)
        projects.append(project)
    return projects


def test_forty_models_are_shown_the_urgent_ones_first(forty):
    page = text(open_client(*forty), "/")
    assert "42 models of 2 projects, 20 alerts" in page
    assert page.index("loud-00:1") < page.index("loud-19:1") < page.index("calm-00:1")
    assert "age has drifted" in page and "drift in 1 of 2 columns" in page and "14 Mar 2026" in page


def test_a_model_has_what_its_run_and_its_last_check_know(forty):
    rows = {
        row.version.model: row for row in overview(view_projects(forty).values(), moment("2026-03-17T09:16:06Z")).rows
    }
    row = rows["loud-07"]
    assert (row.outcome, row.state, row.drift, row.reasons) == (
        "retrain",
        "error",
        "1 of 2 columns",
        ("age has drifted",),
    )
    assert (row.data, row.target, row.age, row.champion) == ("titanic.csv", "survived", "3 days", False)


def test_the_monitoring_report_is_shown_and_nothing_is_written(forty, empty):
    before = sorted(path.name for path in forty[1].store_root.iterdir())
    page = text(open_client(*forty), "/p/loud/monitoring.html")
    assert "Model monitoring" in page and "age has drifted" in page
    assert sorted(path.name for path in forty[1].store_root.iterdir()) == before
    key = next(iter(view_projects([empty])))
    assert "no registered model" in text(open_client(empty), f"/p/{key}/monitoring.html", 404)
    assert not empty.store_root.exists()


def test_a_model_whose_run_was_deleted_is_still_shown(forty):
    (forty[0].runs / f"{A}-calm-03" / "run.json").rename(forty[0].root / "gone")
    try:
        page = text(open_client(*forty), "/")
    finally:
        (forty[0].root / "gone").rename(forty[0].runs / f"{A}-calm-03" / "run.json")
    assert "run deleted" in page and "calm-03:1" in page


@pytest.fixture
def running(tmp_path, example):
    """A run that is in its stage tune."""
    project = example.make_project(tmp_path / "live")
    run = example.make_run(project, A)
    run.update(state=RunState.RUNNING, started="2026-03-14T09:15:00.000Z", finished=None)
    for name in list(run.stages)[list(run.stages).index("tune") :]:
        run.update_stage(name, state=StageState.WAITING, outputs={}, started=None, finished=None, seconds=None)
    run.update_stage("tune", state=StageState.RUNNING, started="2026-03-14T09:15:30.000Z", from_run=None)
    run.save()
    return run


def test_a_run_is_followed_until_its_end(running):
    client, address = open_client(running.project), f"/p/live/runs/{A}"
    folder = running.folder / "stages"
    progress_path(folder, "tune").unlink()
    page = text(client, address)
    assert 'data-running="1"' in page and "running, 6 of 11 stages have their results; tune: starts" in page
    write_cell(folder, "tune", CellNote(cell=4, cells=14, heading="Search <all>"))
    write_record(progress_path(folder, "tune"), ProgressNote(done=3, total=60, text="linear 0.9"))
    entry = {
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["first\n", "trial 3: \x1b[1m<0.91>\x1b[0m\n"]}]
    }
    (folder / "tune.outputs.jsonl").write_text(json.dumps(entry) + "\n" + '{"outputs": [{"output_ty')
    live = client.get(f"{address}/live")
    assert (
        "cell 5 of 14, Search &lt;all&gt;; linear 0.9 (3 of 60)" in live.text and "trial 3: &lt;0.91&gt;" in live.text
    )
    running.update(state=RunState.FAILED, seconds=75.0)
    running.update_stage("tune", state=StageState.INTERRUPTED)
    running.save()
    live = client.get(f"{address}/live?version={live.headers['x-version']}")
    assert "data-running" not in live.text and "interrupted" in live.text
    assert client.get(f"{address}/live?version={live.headers['x-version']}").status_code == 204


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"[]\n", b'{"outputs": 3}\n', b'{"outputs": [{"text": 1}]}\n'])
def test_a_log_that_cannot_be_read_shows_no_line(tmp_path, content):
    assert last_line(tmp_path, "tune") == ""
    (tmp_path / "tune.outputs.jsonl").write_bytes(content)
    assert last_line(tmp_path, "tune") == ""


def test_the_timeline_has_only_stages_that_the_run_executed(shop):
    run = open_run(shop, A)
    own = {name: replace(stage, from_run=A) for name, stage in run.stages.items()}
    drawn = draw_stages(own, A, moment("2026-03-14T10:00:00Z"))
    assert drawn.count('class="span') == 9 and "nan" not in drawn  # problem and ingest were reused
    assert draw_stages({}, A, moment("2026-03-14T10:00:00Z")) == ""
    assert moment("no time") is None and moment(None) is None


def test_damaged_artifacts_are_named_on_the_page(tmp_path, example):
    project = example.make_project(tmp_path / "torn")
    run = example.make_run(project, A)
    project.store.path(run.output("metrics").digest).unlink()
    client = open_client(project)
    page = text(client, f"/p/torn/runs/{A}")
    assert "Artifacts of runs are missing" in page
