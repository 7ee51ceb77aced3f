"""`mlnb lineage`: trace a request or a version to approvals, run, training rows and raw data."""

import argparse
import json
from datetime import UTC, datetime

from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.governance.logged_requests import LoggedRequest
from mlnb.governance.version_lineage import DataLineage, Lineage, trace
from mlnb.reports import formatting

WIDTH = 11  # columns of the names


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb lineage`."""
    p.add_argument("reference", help="request id, version, run, or tag of a model or bento")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb lineage @champion\n  mlnb lineage 8f3c2a51            a request, by its X-Request-Id\n"
        "  mlnb lineage churn:06532242e32d  the model in the header X-Model-Version\n\n"
        "Of a request, the inputs, the responses and the labels that have arrived are printed, too: they may be\n"
        "personal data."
    )


def main(args: argparse.Namespace) -> int:
    """Print the lineage; return 0."""
    lineages = trace(Project.find(), args.reference)
    if args.json:
        print(json.dumps([to_json(lineage) for lineage in lineages], ensure_ascii=False, indent=1))
    else:
        print("\n\n".join("\n".join(_lines(lineage)) for lineage in lineages))
    return 0


def _lines(lineage: Lineage) -> list[str]:
    """Return a lineage as text, from the request to the raw data."""
    aliases = f" ({', '.join(lineage.aliases)})" if lineage.aliases else ""
    lines = [line for request in lineage.requests for line in _request_lines(request)]
    lines += [
        _line("version", f"{lineage.version}{aliases}"),
        _line("tag", f"{lineage.tag}, in the header X-Model-Version and the prediction log"),
        _line("bento", lineage.bento),
        _line("service", lineage.service),
    ]
    approvals = {approval.entry: approval for approval in lineage.approvals}
    for entry in lineage.changes:
        alias = f" as {entry.alias}" if entry.alias else ""
        why = f": {entry.why}" if entry.why else ""
        when = formatting.moment(entry.when)
        named = [f"{name.replace('_', ' ')} {digest[:12]}" for name, digest in sorted(entry.evidence.documents.items())]
        why += f", with {' and '.join(named)}" if named else ""
        if (approval := approvals.get(entry.number)) is not None:
            signed = f"verified, key {approval.key[:12]}"
            why += f"; {signed if approval.verified else f'not verified: {approval.problem}'}"
        lines.append(_line(entry.what, f"{when} by {entry.who}{alias}{why} (entry {entry.number} of the audit log)"))
    lines.append(_line("run", lineage.run + ("" if lineage.data else ", which was deleted")))
    if lineage.command:
        lines.append(_line("command", formatting.command_line(lineage.command)))
    if lineage.git:
        lines.append(_line("commit", lineage.git.commit + ", with changes" * lineage.git.dirty))
    if lineage.manifest:
        lines.append(_line("manifest", lineage.manifest))
    if lineage.reuse:
        lines.append(_line("test set", lineage.reuse.describe()))
    return lines + (_data_lines(lineage.data, lineage.run) if lineage.data else [])


def _request_lines(request: LoggedRequest) -> list[str]:
    when = datetime.fromtimestamp(request.time, UTC).isoformat(timespec="milliseconds")
    lines = [
        _line("request", f"{request.id}, {when}" + ", shadow: not returned" * request.shadow),
        _line("segment", request.segment),
    ]
    if request.refused is not None:
        return [*lines, _line("refused", f"columns at fault: {request.refused or 'none alone'}")]
    for row in request.rows:
        lines.append(_line(f"row {row.row}", f"inputs    {json.dumps(row.inputs, ensure_ascii=False)}"))
        lines.append(_line("", f"response  {json.dumps(row.response, ensure_ascii=False)}"))
        lines.append(_line("", f"label     {row.label if row.label is not None else 'none has arrived'}"))
    return lines


def _data_lines(data: DataLineage, run: str) -> list[str]:
    rows = f"{data.rows:,} rows, " if data.rows is not None else ""
    lines = [_line("training", f"{rows}{data.training or 'unknown'}")] if data.training else []
    if data.training_rows:
        lines.append(_line("rows", f"their numbers in the table: mlnb show {run} --artifact training_rows"))
    if data.test:
        lines.append(_line("test rows", data.test))
    return [*lines, _line("raw data", data.raw or "unknown"), _line("source", data.source or "unknown")]


def _line(name: str, text: str) -> str:
    return f"{name:<{WIDTH}} {text}"
