"""The result of a run as lines of a terminal: winner, test metric, comparison, interval coverage, gate and bento."""

import textwrap
from collections.abc import Mapping
from typing import Any

from mlnb.engine.runs import Run
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.gates import Gate
from mlnb.reports.competitors import comparison_lines, describe_coverage, describe_unlabeled, rank_competitors
from mlnb.reports.formatting import count, interval, number, winner
from mlnb.tracking.artifact_views import BestTrial, load_record, load_view
from mlnb.tracking.run_results import profile_values

WIDTH = 80  # characters of a line
LABEL = 10  # characters of the label at its start


def result_lines(run: Run, indent: str = "") -> list[str]:
    """Return the lines about the result of a run; those of artifacts that it lacks are left out.

    Args:
        run: The run.
        indent: Spaces in front of every line.
    """
    best = load_view(run, "best", BestTrial)
    test = load_record(run, "metrics", Metrics)
    gate = load_record(run, "gate", Gate)
    certificate = load_record(run, "certificate", ParityCertificate)
    items: list[tuple[str, str]] = []
    if best:
        items.append(("winner", winner(best) + (f"  {_short(best.params)}" if best.params else "")))
    if test:
        items += _test_items(test)
    for line in gate.lines if gate else ():
        items.append(("gate", f"{line.mark}  {line.check}: {line.found} (required: {line.required})"))
    if run.record.profile:
        items.append(("profile", f"{run.record.profile}: {profile_values(run)}"))
    if certificate:
        items.append(("bento", f"{certificate.bento}  ({count(certificate.rows, 'row')} verified over HTTP)"))
    return [line for label, text in items for line in _wrap(f"{indent}{label:<{LABEL}}", text)]


def _test_items(test: Metrics) -> list[tuple[str, str]]:
    deciding = test.deciding
    if not test.labeled:
        return [("test", line) for line in describe_unlabeled(test)]
    items = [("test", f"{deciding.name} {_figure(deciding.value)} {interval(deciding)}".rstrip())]
    references = [f"{one.title} {_figure(one.score)}" for one in rank_competitors(test)]
    items += [("", ", ".join(references))] if references else []
    items += [("compared", line) for line in comparison_lines(test)]
    coverage = describe_coverage(test.interval)
    return items + ([("coverage", coverage)] if coverage else [])


def _wrap(start: str, text: str) -> list[str]:
    """Return a text after its start, in lines of at most WIDTH characters where words allow it."""
    wrapper = textwrap.TextWrapper(
        WIDTH, initial_indent=start, subsequent_indent=" " * (len(start) + 2), break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip
    return wrapper.wrap(text) or [start.rstrip()]


def _figure(value: float | None) -> str:
    return "undefined on these rows" if value is None else number(value)


def _short(params: Mapping[str, Any]) -> str:
    parts = [
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
        if not isinstance(value, dict)
    ]
    text = ", ".join(parts)
    return text if len(text) <= 90 else text[:87] + "..."
