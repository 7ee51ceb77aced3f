"""The content of a run's report, from its record and artifacts; what is missing is left out."""

from markupsafe import Markup

from mlnb.engine.run_records import RunRecord, StageRecord, StageState
from mlnb.engine.runs import Run
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports import formatting
from mlnb.reports.competitors import comparison_lines, describe_coverage, rank_competitors
from mlnb.reports.document_links import link_documents
from mlnb.reports.figures import IntervalRow, TrialPoint, draw_history, draw_intervals
from mlnb.reports.markdown import to_html
from mlnb.reports.pipeline_graph import draw_graph
from mlnb.reports.run_details import collect_details
from mlnb.reports.run_page_sections import (
    ArtifactRow,
    ParameterRow,
    ResultSection,
    RunPage,
    StageRow,
    TrialRow,
    TrialSection,
)
from mlnb.reports.trial_chart import hyperparameters, is_complete, trial_chart
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import (
    BestTrial,
    load_optional,
    load_record,
    load_view,
)

TRIALS = 10  # rows of the table of trials


def collect_page(run: Run) -> RunPage:
    """Return the content of a run's report."""
    record = run.record
    contract = load_record(run, "contract", ProblemContract)
    test = load_record(run, "metrics", Metrics)
    parameters, details = _parameters(run), collect_details(run, contract, test)
    return RunPage(
        run=run,
        record=record,
        state=run.state,
        title=_title(record, contract),
        contract=contract,
        head=_head(run),
        failure=record.failure,
        result=_result(run, contract, test),
        stages=_stages(run),
        graph=draw_graph(run_results.shown_stages(run)),
        changed_parameters=[row for row in parameters if row.origin != "default"],
        default_parameters=[row for row in parameters if row.origin == "default"],
        evaluation=details.evaluation,
        explanations=details.explanations,
        data=details.data,
        plots=details.plots,
        trials=collect_trials(run, contract),
        card=_card(run),
        documents=link_documents(run),
        artifacts=[
            ArtifactRow(artifact, name, output)
            for name, stage in run.stages.items()
            for artifact, output in stage.outputs.items()
        ],
        versions=run_results.versions(run),
    )


def page_name(notebook: str) -> str:
    """Return the path of a notebook's page, next to the notebook."""
    return notebook.removesuffix(".ipynb") + ".html"


def _title(record: RunRecord, contract: ProblemContract | None) -> str:
    title = f"Predicting {contract.target}" if contract and contract.target else f"Pipeline {record.pipeline}"
    return f"{title} for {record.segment}" if record.segment else title


def _head(run: Run) -> list[tuple[str, str]]:
    record = run.record
    commit = formatting.short(record.git.commit) + " with changes" * record.git.dirty if record.git else None
    items = [
        ("run", run.id),
        ("started", formatting.moment(record.started)),
        ("duration", formatting.seconds(record.seconds) if record.seconds is not None else None),
        ("pipeline", record.pipeline),
        ("profile", record.profile),
        ("group", record.group),
        ("segment", record.segment),
        ("commit", commit),
        ("versions", f"mlnb {record.mlnb_version}, Python {record.python_version}"),
    ]
    return [(name, value) for name, value in items if value]


def _result(run: Run, contract: ProblemContract | None, test: Metrics | None) -> ResultSection | None:
    verdict = run_results.verdict(run)
    if verdict.winner is None and verdict.value is None:
        return None
    rows = [IntervalRow(one.title, one.score) for one in reversed(rank_competitors(test))] if test is not None else []
    winner = formatting.family(verdict.winner) or "model"
    rows.append(IntervalRow(winner, verdict.value, verdict.low, verdict.high, best=True))
    certificate = load_record(run, "certificate", ParityCertificate)
    best = load_view(run, "best", BestTrial)
    interval = test.interval if test else None
    evaluate = run.stages.get("evaluate")
    return ResultSection(
        verdict=verdict,
        winner=formatting.winner(best) if best else winner,
        labeled=test is None or test.labeled,
        comparison=comparison_lines(test) if test else [],
        coverage=describe_coverage(interval),
        coverage_missed=interval is not None and not interval.passed,
        rows=test.rows if test else None,
        level=test.level if test else 0.95,
        direction="lower is better" if _direction(contract) == "minimize" else "higher is better",
        figure=draw_intervals(rows, contract.bound if contract else None),
        gate=load_record(run, "gate", Gate),
        bento=certificate.bento if certificate else None,
        verified_rows=certificate.rows if certificate and certificate.identical else None,
        score=best.score if best else None,
        profile=f"{run.record.profile}: {run_results.profile_values(run)}" if run.record.profile else "",
        access=_describe_access(evaluate, test.reuse if test else None) if evaluate else "",
    )


def _describe_access(evaluate: StageRecord, reuse: HoldoutReuse | None) -> str:
    """Return how often the test set was loaded, and how many of its rows were before; empty if unknown."""
    accesses = int(evaluate.metrics.get("test_set_accesses", 0))
    if not accesses:
        return ""
    again = accesses > 1 or (reuse is not None and reuse.opened > 0)
    first = (
        f"Access {accesses} to this test set." if accesses > 1 else "" if again else "First access to this test set."
    )
    bias = "The best of several results is biased upwards." if again else ""
    return " ".join(filter(None, (first, reuse.describe() if reuse else "", bias)))


def _stages(run: Run) -> list[StageRow]:
    longest = max((record.seconds or 0 for record in run.stages.values()), default=0) or 1
    return [
        StageRow(
            name=name,
            record=record,
            page=page_name(record.notebook) if record.notebook else None,
            share=(record.seconds or 0) / longest * 100 if record.state == StageState.FINISHED else 0,
        )
        for name, record in run_results.shown_stages(run).items()
    ]


def _parameters(run: Run) -> list[ParameterRow]:
    rows = []
    for full_name, parameter in run_results.parameters(run).items():
        stage, _, name = full_name.partition(".")
        rows.append(ParameterRow(stage, name, formatting.parameter(parameter.value), parameter.origin))
    return rows


def collect_trials(run: Run, contract: ProblemContract | None) -> TrialSection | None:
    """Return the hyperparameter search of a run; None when it has none."""
    trials = run_results.read_trials(run)
    if not trials:
        return None
    best = load_view(run, "best", BestTrial)
    states = [trial.state.lower() for trial in trials]
    scored = [
        (trial, trial.score) for trial in trials if trial.score is not None and run_results.is_finite(trial.score)
    ]
    complete = sorted((item for item in scored if is_complete(item[0])), key=lambda item: item[1])
    ranked = complete if _direction(contract) == "minimize" else complete[::-1]
    points = [TrialPoint(trial.number, score, is_complete(trial)) for trial, score in scored]
    figure = draw_history(points, _direction(contract))
    return TrialSection(
        figure=figure,
        chart=trial_chart([trial for trial, _ in scored], contract) if figure else None,
        outside=figure.count('class="point outside'),
        metric=best.metric if best and best.metric else contract.metric if contract else None,
        counts=", ".join(
            [formatting.count(len(trials), "trial"), *(f"{states.count(name)} {name}" for name in sorted(set(states)))]
        ),
        best=[
            TrialRow(trial.number, trial.family, score, hyperparameters(trial.params))
            for trial, score in ranked[:TRIALS]
        ],
    )


def _direction(contract: ProblemContract | None) -> str:
    return contract.direction if contract else "maximize"


def _card(run: Run) -> Markup | None:
    text = load_optional(run, "card")
    return to_html(text) if isinstance(text, str) else None
