"""Model versions: what identifies a version, taken from the run whose bento was verified."""

import re
from typing import ClassVar

from mlnb.codec import Record
from mlnb.engine.digests import digest_value
from mlnb.engine.run_records import GitState, OutputRecord
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.evaluations import DecidingMetric, Metrics
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.methods.contracts.problems import MetricCode, ProblemContract
from mlnb.methods.tasks.task_traits import Task

ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
SHORTEST_DIGEST = 12  # characters of the digest of a service that name a version
REQUIRED = ("certificate", "service", "contract", "metrics", "gate")  # artifacts that a registered run has
DOCUMENTS = ("card", "technical_documentation")  # artifacts whose digests an approval records
REFERENCE = re.compile(r"(?P<model>[^:@]*)(?:(?P<sign>[:@])(?P<rest>.+))?")


class Environment(Record, frozen=True, kw_only=True):
    """Python, mlnb and the libraries that the stages import, each with its version."""

    python: str
    mlnb: str
    libraries: dict[str, str]


class ProblemSummary(Record, frozen=True, kw_only=True):
    """The fields of the problem contract that must agree for two versions to be compared.

    Args:
        custom_metric: code of the deciding metric where the project defines it.
    """

    target: str | None
    task: Task
    metric: str
    direction: str
    bound: float | None
    custom_metric: MetricCode | None = None


class VersionMetadata(Record, frozen=True, kw_only=True):
    """What a version was made from, and what was measured and verified.

    Args:
        pipeline: pipeline of its run.
        finished: when its run finished, as ISO 8601.
        data, test, predictions: digests of the artifacts `raw`, `test` and `predictions`.
        code: digest of the code of all stages.
        git: commit of the project.
        environment: versions of Python and libraries.
        problem: what it predicts.
        deciding: the deciding metric on the held-out test set.
        metrics: every metric on the held-out test set.
        gate: whether its gate passed.
        certificate: result of the parity check.
        bento: tag of its bento.
        service: the artifact that its bento is built from.
        reuse: how many test rows other evaluations had loaded before.
        segment: whose model it is; empty: that of all rows.
    """

    SCHEMA: ClassVar[str] = "version-metadata"

    pipeline: str
    finished: str | None
    data: str | None
    test: str | None
    predictions: str | None
    code: str
    git: GitState | None
    environment: Environment
    problem: ProblemSummary
    deciding: DecidingMetric
    metrics: dict[str, float | None]
    gate: bool
    certificate: ParityCertificate
    bento: str
    service: OutputRecord
    reuse: HoldoutReuse | None = None
    segment: str = ""


class ModelVersion(Record, frozen=True, kw_only=True):
    """A registered version and the aliases that point to it.

    Args:
        model: name of the model.
        number: from 1, in the order of registration.
        run: id of the run that made it.
        service: digest of what its bento is built from.
        metadata: what it was made from.
        aliases: aliases that point to it.
        approved_by: people who approved it.
    """

    SCHEMA: ClassVar[str] = "model-version"

    model: str
    number: int
    run: str
    service: str
    metadata: VersionMetadata
    aliases: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its reference: model:number."""
        return f"{self.model}:{self.number}"

    def is_called(self, reference: str) -> bool:
        """Return whether a reference is one of its ids.

        Args:
            reference: model:3, the tag of a model or bento, the id of a run, or the digest of a service or its first
                SHORTEST_DIGEST characters or more.
        """
        ids = (self.name, self.metadata.certificate.model, self.metadata.bento, self.run, self.service)
        return reference in ids or (len(reference) >= SHORTEST_DIGEST and self.service.startswith(reference))


def describe_version(run: Run) -> VersionMetadata:
    """Return the metadata of the version that a run made. Raises `UsageError` for a run without a verified bento."""
    if not all(run.has(artifact) for artifact in REQUIRED):
        raise UsageError(f"Run {run.id} has no verified bento, which a version needs; run `mlnb run` first.")
    record, contract = run.record, run.load("contract", ProblemContract)
    certificate, metrics = run.load("certificate", ParityCertificate), run.load("metrics", Metrics)
    inputs = {name: stage.key_inputs for name, stage in run.stages.items()}
    code = {name: [result.code, result.modules] if result else [None, None] for name, result in inputs.items()}
    libraries = {name: version for stage in run.stages.values() for name, version in stage.versions.items()}
    return VersionMetadata(
        pipeline=record.pipeline,
        finished=record.finished,
        data=output_digest(run, "raw"),
        test=output_digest(run, "test"),
        predictions=output_digest(run, "predictions"),
        code=digest_value(code),
        git=record.git,
        environment=Environment(
            python=record.python_version, mlnb=record.mlnb_version, libraries=dict(sorted(libraries.items()))
        ),
        problem=summarize_problem(contract),
        deciding=metrics.deciding,
        metrics={name: score.value for name, score in metrics.scores.items()},
        gate=run.load("gate", Gate).passed,
        certificate=certificate,
        bento=certificate.bento,
        service=run.require_output("service"),
        reuse=metrics.reuse,
        segment=record.segment,
    )


def summarize_problem(contract: ProblemContract) -> ProblemSummary:
    """Return the fields of a contract that must agree for two models to be compared."""
    return ProblemSummary(
        target=contract.target,
        task=contract.task,
        metric=contract.metric,
        direction=contract.direction,
        bound=contract.bound,
        custom_metric=next((one for one in contract.custom_metrics if one.name == contract.metric), None),
    )


def output_digest(run: Run, artifact: str) -> str | None:
    """Return the digest of an artifact; None when the run has none of that name."""
    output = run.output(artifact)
    return output.digest if output else None


def document_digests(run: Run | None) -> dict[str, str]:
    """Return the digest of each document of a run that an approval is about; none of a run that is gone."""
    digests = {name: output_digest(run, name) for name in DOCUMENTS} if run else {}
    return {name: digest for name, digest in digests.items() if digest}


def check_alias(alias: str) -> str:
    """Return the alias. Raises `UsageError` when it is not a valid one."""
    if not ALIAS.fullmatch(alias):
        raise UsageError(f"{alias!r} is no alias; expected letters, digits, _ and -, a letter first, such as champion.")
    return alias


def split_reference(reference: str) -> tuple[str, int | None, str]:
    """Return (model or "", number or None, alias or "") of `model:3`, `model@champion`, `3`, `@champion` or `model`."""
    result = REFERENCE.fullmatch(reference.strip())
    model, sign, rest = (result["model"], result["sign"], result["rest"]) if result else ("", None, None)
    if model.isdecimal() and not sign:
        return "", int(model), ""
    if sign == ":" and str(rest).isdecimal():
        return model, int(str(rest)), ""
    if sign == "@":
        return model, None, check_alias(str(rest))
    if model and not sign:
        return model, None, ""
    raise UsageError(
        f"{reference!r} names no version; expected model:3, model@champion, @champion or 3, or the tag of a model."
    )
