"""A version of a model: everything that says what it is, taken from the run that proved it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from mlnb.codec import to_json
from mlnb.engine.digests import digest_value
from mlnb.engine.runs import Run
from mlnb.errors import UsageError
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.contracts.problems import ProblemContract

ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
REQUIRED = ("certificate", "service", "contract", "metrics", "gate")  # artifacts that a registered run has
REFERENCE = re.compile(r"(?P<model>[^:@]*)(?:(?P<sign>[:@])(?P<rest>.+))?")


@dataclass(frozen=True)
class Version:
    """A registered version and the aliases that point to it.

    Attributes:
        number: from 1, in the order of registration.
        run: id of the run that proved it.
        service: digest of what its bento is built from.
        facts: from `facts_of`
    """

    model: str
    number: int
    run: str
    service: str
    facts: dict[str, Any]
    aliases: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How it is referred to: model:number."""
        return f"{self.model}:{self.number}"


def facts_of(run: Run) -> dict[str, Any]:
    """Return what a version is: data, code, environment, metrics, gate, certificate, bento tag, where its bytes are.

    Raises `UsageError` for a run without a proven bento.
    """
    if not all(run.has(artifact) for artifact in REQUIRED):
        raise UsageError(f"Run {run.id} has no proven bento, and only what is proven is registered. `mlnb run` first.")
    record = run.record
    certificate, metrics = run.load("certificate"), run.load("metrics", Metrics)
    contract = run.load("contract", ProblemContract)
    inputs = {name: stage.key_inputs for name, stage in run.stages.items()}
    code = {name: [result.code, result.modules] if result else [None, None] for name, result in inputs.items()}
    libraries = {name: version for stage in run.stages.values() for name, version in stage.versions.items()}
    return {
        "pipeline": record.pipeline,
        "finished": record.finished,
        "data": _digest(run, "raw"),
        "test": _digest(run, "test"),
        "predictions": _digest(run, "predictions"),
        "code": digest_value(code),
        "git": to_json(record.git) if record.git else None,
        "environment": {
            "python": record.python_version,
            "mlnb": record.mlnb_version,
            "libraries": dict(sorted(libraries.items())),
        },
        "problem": {name: getattr(contract, name) for name in ("target", "task", "metric", "direction", "bound")},
        "deciding": to_json(metrics.deciding),
        "metrics": {name: score.value for name, score in metrics.scores.items()},
        "gate": run.load("gate", Gate).passed,
        "certificate": certificate,
        "bento": certificate["bento"],
        "service": to_json(run.require_output("service")),
    }


def model_of(run: Run) -> str:
    """Return the name of the model that a proven run made."""
    return str(run.load("certificate")["model"]).partition(":")[0]


def _digest(run: Run, artifact: str) -> str | None:
    output = run.output(artifact)
    return output.digest if output else None


def read_facts(text: str) -> dict[str, Any]:
    """Return facts as they were stored."""
    return dict(json.loads(text))


def check_alias(alias: str) -> str:
    """Return the alias.

    Raises:
        UsageError: when it could be mistaken for something else.
    """
    if not ALIAS.fullmatch(alias):
        raise UsageError(f"{alias!r} is no alias; expected letters, digits, _ and -, a letter first: champion, say.")
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
    raise UsageError(f"{reference!r} names no version; expected model:3, model@champion, @champion or 3.")
