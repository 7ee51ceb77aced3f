"""Retraining: the run of the pipeline `retrain` for a champion, and what becomes of the challenger."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mlnb.api.run_request import RunRequest
from mlnb.api.several_models import ModelOutcome, ModelOutcomes
from mlnb.codec import to_json
from mlnb.engine.formats import load_object
from mlnb.engine.parameter_values import DEFAULT
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.challenge_records import ChallengeResult
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.registry.audit_log import Entry
from mlnb.registry.champion import ORIGIN
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION, Registry

PIPELINE = "retrain"
POLICIES = ("growing", "sliding", "since_last")  # rows that a challenger is trained on
CHALLENGER = "challenger"
AWAITING = 13  # exit code when a person has to approve


@dataclass(frozen=True, kw_only=True)
class RetrainOptions:
    """How a challenger is trained, and whether it replaces the champion.

    Attributes:
        policy: which rows it is trained on: one of POLICIES.
        promote: whether a challenger that wins is promoted.
        reason: for the audit log; empty: the result.
        profile: name of a profile of settings.ini; None: none.
        pairs: names and texts of parameters.
        values: typed values of parameters by name.
    """

    policy: str = POLICIES[0]
    promote: bool = False
    reason: str = ""
    profile: str | None = None
    pairs: Sequence[tuple[str, str]] = ()
    values: Mapping[str, object] = field(default_factory=dict)

    def words(self, version: str) -> tuple[str, ...]:
        """Return the words of the command for a version, without profile and parameters; empty: the only champion."""
        words = ["mlnb", "retrain", *([version] if version else []), "--policy", self.policy]
        words += ["--promote"] * self.promote + (["--reason", self.reason] if self.reason else [])
        return tuple(words)


@dataclass(frozen=True, kw_only=True)
class Retraining(ModelOutcome):
    """What the retraining of a model has led to.

    The result is `trained`, `promoted`, `approval needed`, or `unchanged` where the challenger equals the champion.

    Attributes:
        run: id of the challenger's run.
        champion: name of the version that it was compared with.
        challenger: name of the challenger's version.
        evaluation: of both on rows that are new to them.
    """

    run: str
    champion: str
    challenger: str
    evaluation: ChallengeResult


class Retrainings(ModelOutcomes):
    """The outcomes of retraining, by position, with the champion that each is of."""

    @property
    def finished(self) -> dict[str, Retraining]:
        """The retraining of each champion that has a challenger, by its name; failed and skipped ones have none."""
        return {name: one for name, one in zip(self.versions, self, strict=True) if isinstance(one, Retraining)}


@contextmanager
def retraining_request(
    project: Project, champion: ModelVersion, options: RetrainOptions, version: str
) -> Iterator[RunRequest]:
    """Yield what the run of a challenger is to do; its file of parameters exists until the end of the `with` block.

    Args:
        project: The project.
        champion: The version to replace.
        options: How the challenger is trained.
        version: As the caller has named it, for the command of the record; empty: not at all.

    Raises:
        UsageError: The policy is none, there are no labels, or the champion's data is no logged production data.
    """
    if options.policy not in POLICIES:
        raise UsageError(f"The policy is {options.policy!r}; expected one of {', '.join(POLICIES)}.")
    run = open_run(project, champion.run)
    labels = label_database(project, champion.model)
    if not labels.exists() and traits_of(run.load("contract", ProblemContract).task).needs_labels:
        raise UsageError(f"{champion.model} has no labels; add them first: `mlnb labels add FILE`.")
    with tempfile.TemporaryDirectory(dir=project.store_root) as folder:
        values = Path(folder) / "values.yaml"
        parameters = challenger_parameters(project, run, champion, options.policy)
        values.write_text(yaml.safe_dump(parameters, allow_unicode=True))
        yield RunRequest(
            pipeline=PIPELINE,
            files=[values],
            pairs=options.pairs,
            values=options.values,
            profile=options.profile,
            segment=champion.metadata.segment,
            program=options.words(version),
        )


def conclude_retraining(
    registry: Registry,
    champion: ModelVersion,
    trained: Run,
    options: RetrainOptions,
    show: Callable[[ChallengeResult | Entry], None] = lambda step: None,
) -> Retraining:
    """Register the challenger of a finished run, point the alias `challenger` to it, and promote it if it wins.

    Args:
        registry: The registry.
        champion: The version that it was compared with.
        trained: The run.
        options: Whether it is promoted, and the reason.
        show: Called with the evaluation, then with the entry of the audit log for each alias that is moved.

    Raises:
        GateFailed: It wins, but its gate failed or approvals are missing.
    """
    result = trained.load("challenge", ChallengeResult)
    show(result)
    challenger = registry.register(trained)
    both = f"champion {result.champion:.4g}, challenger {result.challenger:.4g}"
    note = f"{result.metric} on {result.rows:,} new rows: {both}"
    outcome = Retraining(
        "unchanged", 0, note, run=trained.id, champion=champion.name, challenger=challenger.name, evaluation=result
    )
    if challenger.number == champion.number:
        return outcome
    reason = options.reason or f"champion/challenger evaluation of run {trained.id}: {result.decision}"
    if CHALLENGER not in challenger.aliases:
        show(registry.promote(challenger.name, CHALLENGER, reason, force=True))
    state, code = ("approval needed", AWAITING) if result.decision == "approve" else ("trained", 0)
    if result.decision == "promote" and options.promote:
        show(registry.promote(challenger.name, CHAMPION, reason))
        state = "promoted"
    return replace(outcome, result=state, code=code)


def challenger_parameters(project: Project, run: Run, champion: ModelVersion, policy: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of the pipeline by stage: those of the champion's run, and where its data is.

    Args:
        project: The project.
        run: The champion's run.
        champion: The champion.
        policy: Which rows the challenger is trained on: growing, sliding or since_last.

    Raises:
        UsageError: Logged production data is not of the kind that the champion was trained on.
    """
    from mlnb.methods.metrics.goals import base_name
    from mlnb.methods.tuning.trial_proposals import warm_start_trials

    contract = run.load("contract", ProblemContract)
    if contract.cut:
        raise UsageError(
            f"{champion.name} was trained on a log of interactions, and requests hold candidates, which are no "
            "interactions. Train on the newer log: mlnb run --data FILE, then mlnb compare."
        )
    values: dict[str, dict[str, Any]] = {}
    for stage in project.pipeline(PIPELINE):
        record = run.stages.get(stage)
        values[stage] = {
            name: parameter.value
            for name, parameter in (record.parameters if record else {}).items()
            if parameter.origin not in (DEFAULT, ORIGIN)
        }
    stated = to_json(contract)
    fields = ("target", "task", "positive", "top", *traits_of(contract.task).details)
    problem = {name: stated[name] for name in fields}
    values["problem"] |= {name: value for name, value in problem.items() if value not in (None, [])}
    values["problem"]["metric"] = base_name(contract.metric)
    if run.output("best") is not None and run.output("trials") is not None:
        values["tune"]["warm"] = warm_start_trials(run.load("best", Candidate), run.load("trials"), champion.name)
    values["collect"] |= {
        "history": _path_of(project, run, "table" if traits_of(contract.task).unit == "history" else "raw"),
        "log": str(log_folder(project, champion.model)),
        "labels": str(labels) if (labels := label_database(project, champion.model)).exists() else "",
        "contract": _path_of(project, run, "contract"),
        "schema": _path_of(project, run, "schema"),
        **({"declarations": _path_of(project, run, "declarations")} if run.output("declarations") else {}),
        "policy": policy,
    }
    selected: dict[str, Any] = values.get("split", {})
    values["collect"] |= {name: selected[name] for name in ("each", "segment") if name in selected}
    service: Path = load_object(project.store, "tree", champion.service)
    values["challenge"] |= {"champion": str(service)}
    return {stage: items for stage, items in values.items() if items}


def _path_of(project: Project, run: Run, artifact: str) -> str:
    digest = run.require_output(artifact).digest
    project.store.fetch([digest])
    return str(project.store.path(digest))
