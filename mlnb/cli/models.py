"""`mlnb models`: list model versions and their aliases, or show one in full."""

import argparse
import json
from collections.abc import Mapping

from mlnb.cli.all_models import add_filters, read_filter, selects_several
from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.registry.audit_log import Entry
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.retraining_marks import describe_mark, retraining_marks
from mlnb.registry.verified_approvals import Approval, Named, name_people
from mlnb.reports import formatting


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb models`."""
    p.add_argument("version", nargs="?", help="version, shown in full: model:3, model@champion, @champion or 3")
    add_filters(p, all_models=False)
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb models\n  mlnb models @champion\n  mlnb models churn-classifier:3 --json\n"
        "  mlnb models --name 'churn-classifier.*'     the versions of these models; or --segment Berlin\n\n"
        "Every run with a verified bento is registered as a version; the same bytes are the same version.\n"
        "The state `retrain` is that of a version that was trained on rows that were erased (`mlnb erase`)."
    )


def main(args: argparse.Namespace) -> int:
    """List the versions, or show one; return 0."""
    registry = Registry(Project.find())
    registry.sync()
    approvals = registry.approvals()
    selects_several(args, args.version or "")
    if args.version:
        version = registry.find(args.version)
        given = approvals.get((version.model, version.number), ())
        print(_json(version, given) if args.json else _in_full(version, given, retraining_marks(registry.log())))
        return 0
    versions = read_filter(args).select(registry.versions())
    if args.json:
        items = [_json(version, approvals.get((version.model, version.number), ())) for version in versions]
        print(f"[{', '.join(items)}]")
    elif not versions and selects_several(args):
        print("No model is selected. `mlnb models` lists all.")
    elif not versions:
        print("No model is registered. `mlnb run` trains one and registers it.")
    else:
        print(_listing(versions, approvals, retraining_marks(registry.log())))
    return 0


def _listing(
    versions: list[ModelVersion], approvals: Mapping[Named, tuple[Approval, ...]], marks: Mapping[str, Entry]
) -> str:
    rows = []
    for version in reversed(versions):
        metadata, deciding = version.metadata, version.metadata.deciding
        gate = formatting.gate(metadata.gate, deciding.name)
        when = formatting.moment(metadata.finished).replace(" UTC", "")
        result = [
            deciding.name,
            formatting.number(deciding.value),
            formatting.interval(deciding),
            gate,
        ]
        people = name_people(approvals.get((version.model, version.number), ()))
        state = "retrain" if version.name in marks else ""
        rows.append([version.name, ", ".join(version.aliases), state, *result, people, when, version.run])
    heads = ["version", "alias", "state", "metric", "test", "interval", "gate", "approved by", "created", "run"]
    if not marks:
        heads.remove("state")
        rows = [[*row[:2], *row[3:]] for row in rows]
    notes = [f"{name}: {describe_mark(entry)}." for name, entry in marks.items()]
    return "\n".join([table(heads, rows, right=("test",), optional=("created", "approved by")), *notes])


def _json(version: ModelVersion, approvals: tuple[Approval, ...]) -> str:
    return json.dumps(
        to_json(version) | {"approvals": [to_json(approval) for approval in approvals]}, ensure_ascii=False, indent=1
    )


def _in_full(version: ModelVersion, approvals: tuple[Approval, ...], marks: Mapping[str, Entry]) -> str:
    metadata = version.metadata
    rows = [
        ["version", version.name],
        ["alias", ", ".join(version.aliases) or "–"],
        ["approved by", name_people(approvals) or "–"],
        *([["state", f"retrain: {describe_mark(marks[version.name])}"]] if version.name in marks else []),
        *([["segment", metadata.segment]] if metadata.segment else []),
        ["run", version.run],
        ["bento", metadata.bento],
        ["gate", formatting.gate(metadata.gate, metadata.deciding.name)],
        ["rows verified over HTTP", str(metadata.certificate.rows)],
        *([name, formatting.number(value)] for name, value in metadata.metrics.items()),
        ["data digest", str(metadata.data)[:16]],
        ["test digest", str(metadata.test)[:16]],
        ["code digest", metadata.code[:16]],
        ["service digest", version.service[:16]],
        ["python", metadata.environment.python],
        ["mlnb", metadata.environment.mlnb],
    ]
    return table(["", ""], rows).lstrip("\n")
