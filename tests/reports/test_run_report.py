"""The page of a run: complete for any state of the run, self-contained, and safe with any name in the data."""

import html.parser
import re
from html import escape

import pytest

from mlnb.errors import DamagedFileWarning
from mlnb.methods.contracts.evaluations import DecidingMetric, Estimate, Metrics
from mlnb.methods.contracts.findings import FindingList
from mlnb.methods.contracts.gates import Gate, GateLine
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.run_documents import write_documents
from mlnb.reports.run_report import write_report
from mlnb.tracking.notebook_plots import read_plots

HOSTILE = '<script>alert("x")</script>'
EMPTY = {"meta", "link", "br", "hr", "img", "input", "circle", "line", "rect", "path"}


class Reader(html.parser.HTMLParser):
    """Collects tags, ids, links, text and tables that no key scrolls; checks that every tag is closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.text = [], [], set(), [], []
        self.focusable, self.still = [False], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids.add(values.get("id"))
        links = [values[name] for name in ("href", "src", "action", "data", "poster") if name in values]
        if tag != "a" or not "".join(links).startswith("https://"):  # one that is followed only when it is clicked
            self.links += links
        assert not [name for name in values if name.startswith("on")]
        if tag not in EMPTY:
            self.open.append(tag)
            self.focusable.append(self.focusable[-1] or values.get("tabindex") == "0")
            if tag == "table" and not self.focusable[-1]:
                self.still.append(attributes)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag
            self.focusable.pop()

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self.open.pop()
            self.focusable.pop()

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    page = path.read_text(encoding="utf-8")
    reader = Reader(page)
    reader.page, reader.words = page, " ".join(" ".join(reader.text).split())
    return reader


@pytest.fixture
def project(tmp_path, example):
    return example.make_project(tmp_path / "titanic")


SITUATIONS = {
    "finished": {},
    "failed early": {"failed": "validate"},
    "failed in tuning": {"failed": "tune"},
    "only some stages": {"upto": "split"},
    "nothing but the problem": {"upto": "problem"},
    "regression": {"task": "regression", "score": 2.9},
    "hostile names": {"feature": HOSTILE},
}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_every_page_is_whole_and_makes_no_request(project, example, situation):
    run = example.make_run(project, **situation)
    path = write_report(run)
    write_documents(run)
    assert path == run.folder / "report.html"
    assert ("documents/data_sheet.html" in read(path).links) == run.has("evidence")
    pages = [path, *sorted((run.folder / "notebooks").glob("*.html"))]
    notebooks = [stage.notebook for stage in run.stages.values() if stage.notebook]
    assert len(pages) == 1 + len(notebooks)
    for page in pages:
        reader = read(page)
        assert not {"script", "iframe", "object", "embed", "link", "form"} & set(reader.tags)
        assert "default-src 'none'" in reader.page
        assert not re.findall(r"url\(|@import|https?://", reader.page.split("</style>")[0])
        assert not re.findall(r"<th[^>]*>\s*</th>", reader.page)  # screen readers read a head with each cell
        assert reader.still == []
        for link in reader.links:
            target, _, anchor = link.partition("#")
            assert target.startswith("data:image/") or not target or (page.parent / target).is_file(), link
            if not target and anchor:
                assert anchor in reader.ids


def test_a_finished_run_says_everything(project, example):
    run = example.make_run(project)
    reader = read(write_report(run))
    deciding, line = run.load("metrics")["deciding"], run.load("gate")["lines"][0]
    findings = {finding.check: finding.message for finding in run.load("findings", FindingList).findings}
    certificate = run.load("certificate")
    for words in (
        "Predicting survived",
        "Binary classification",
        "{value:.4f} [{low:.4f}, {high:.4f}]".format(**deciding),
        "ROC AUC on 60 held-out rows",
        f"{certificate['bento']} , verified on {certificate['rows']} rows over HTTP",
        line["found"],
        f"required: {line['required']}",
        "1 min 6 s",
        "14 March 2026, 09:15 UTC",
        "4cf0cc7f4cf0 with changes",
        findings["missing"],
        "profile smoke",
        "Run with the profile smoke: tune.trials = 4",
        "parameters with their defaults",
        "4 trials",
        "num_leaves",
        "Model card: survived",
        "Who owns this model and is responsible for it?",
        f"lightgbm {run.stages['tune'].versions['lightgbm']}",
    ):
        assert words in reader.words, words
    warnings = [
        finding.message for finding in run.load("findings", FindingList).findings if finding.severity == "warning"
    ]
    assert max(map(reader.words.index, warnings)) < reader.words.index("further than 3 interquartile ranges")
    plots = [plot for path in sorted((run.folder / "notebooks").glob("*.ipynb")) for plot in read_plots(path)]
    plots = [plot for plot in plots if plot.heading != "Partial dependence"]  # drawn from its artifact
    assert len([link for link in reader.links if link.startswith("data:image/png")]) == len(plots) > 10
    assert 'aria-label="Partial dependence of probability of 1 on sex: mean ' in reader.page
    assert all(f': {escape(plot.title)}"' in reader.page for plot in plots)
    assert not any(alt in reader.page for alt in ('alt=""', 'alt="plot"', 'label="history"', 'label="intervals"'))


def test_a_pruned_trial_is_shown_but_never_the_best(project, example):
    def pruned(trials):
        trials.loc[2, ["score", "state"]] = [0.999, "pruned"]  # on the first folds only
        return trials

    reader = read(write_report(example.make_run(project, change={"trials": pruned})))
    assert "hollow points were pruned" in reader.words and "trial 2: 0.9990" in reader.words
    assert 'class="point pruned"' in reader.page and ">0.9990<" not in reader.page


def test_names_from_the_data_are_shown_and_not_obeyed(project, example):
    run = example.make_run(project, feature=HOSTILE)
    reader = read(write_report(run))
    assert HOSTILE in reader.words
    assert HOSTILE not in reader.page
    page = (run.folder / "notebooks/25_explore.html").read_text()
    assert HOSTILE not in page and "&lt;script&gt;" in page


def test_markdown_of_a_hostile_card_cannot_act():
    from mlnb.reports.markdown import to_html

    page = to_html("<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) `<b>`\n\n| a |\n|---|\n| <i> |\n")
    assert "<img" not in page and "<i>" not in page and "javascript:" not in page
    assert "<table>" in page


def test_a_failure_comes_first_and_leads_to_its_cell(project, example):
    run = example.make_run(project, failed="tune")
    reader = read(write_report(run))
    assert "Stage tune failed in “Encode the folds”" in reader.words
    assert "ValueError: found 'n/a' in the table" in reader.words
    assert reader.page.index("Stage tune failed") < reader.page.index('id="stages"')
    assert "notebooks/50_tune.html#failed" in reader.links
    cell = (run.folder / "notebooks/50_tune.html").read_text()
    assert 'id="failed"' in cell and "\x1b" not in cell


def test_a_missed_gate_is_marked(project, example):
    gate = Gate.of([GateLine(check="roc_auc", found="0.6", required="0.9", passed=False)])
    reader = read(write_report(example.make_run(project, change={"gate": lambda _: gate})))
    assert 'class="missed"' in reader.page and "required: 0.9" in reader.words


def test_test_rows_that_were_opened_before_are_counted(project, example):
    reuse = {"rows": 60, "opened": 11, "trained": 49, "unknown": 0, "lost": 0}
    run = example.make_run(project, change={"metrics": lambda metrics: {**metrics, "reuse": reuse}})
    words = read(write_report(run)).words
    assert "11 of 60 test rows were in a test set opened before, and 49 earlier" in words
    assert "The best of several results is biased upwards." in words and "First access" not in words
    run = example.make_run(project, "20260314-092500-train-c3d4")
    assert "First access to this test set. None of the 60 test rows" in read(write_report(run)).words


def test_without_labels_stability_is_no_headline(project, example):
    line = {"check": "accuracy", "found": "unknown", "required": "labels", "passed": True, "measured": False}
    change = {
        "metrics": lambda metrics: {**metrics, "deciding": {**metrics["deciding"], "name": "stability"}},
        "gate": lambda gate: {**gate, "lines": [line]},
    }
    page = write_report(example.make_run(project, change=change)).read_text(encoding="utf-8")
    assert '<div class="big">unknown</div>' in page and "Accuracy unknown: no row has a label" in page
    assert '<li class="unknown"><span class="mark" aria-label="unknown">?</span>' in page


def test_other_problems_have_a_page_without_being_known(project, example):
    values = {
        "contract": ProblemContract(task="ranking", target="clicked", metric="ndcg_at_10"),
        "metrics": Metrics(
            rows=90,
            resamples=50,
            level=0.95,
            deciding=DecidingMetric(name="ndcg_at_10", direction="maximize", value=0.41),
            scores={"ndcg_at_10": Estimate(value=0.41)},
        ),
        "gate": None,
    }
    change = {name: lambda _, value=value: value for name, value in values.items()}
    reader = read(write_report(example.make_run(project, change=change)))
    assert "Ranking" in reader.words
    assert "ndcg at 10 on 90 held-out rows" in reader.words


def test_the_same_run_gives_the_same_page(project, example):
    run = example.make_run(project)
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_lost_artifacts_and_notebooks_leave_gaps_not_errors(project, example):
    run = example.make_run(project)
    for name in ("contract", "metrics", "trials", "card"):
        project.store.path(run.require_output(name).digest).unlink()
    (run.folder / "notebooks/70_evaluate.ipynb").write_text("{")
    (run.folder / "notebooks/50_tune.ipynb").unlink()
    with pytest.warns(DamagedFileWarning) as warned:
        reader = read(write_report(run))
    messages = " ".join(str(warning.message) for warning in warned)
    assert "70_evaluate.ipynb is damaged" in messages and "Artifacts of runs are missing" in messages
    assert "Pipeline train" in reader.words
    assert "cannot be read" in (run.folder / "notebooks/70_evaluate.html").read_text()
