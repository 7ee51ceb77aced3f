"""`mlnb models`: the versions of models, what is known of each, and which is in charge."""

import argparse
import dataclasses
import json

from mlnb.cli.text_tables import table
from mlnb.engine.project import Project
from mlnb.registry.model_versions import Version
from mlnb.registry.registry import Registry
from mlnb.reports import formatting


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb models`."""
    p.add_argument("version", nargs="?", help="one version, whole: model:3, model@champion, @champion or 3")
    p.add_argument("--json", action="store_true", help="as JSON, for machines")
    p.epilog = (
        "examples:\n  mlnb models\n  mlnb models @champion\n  mlnb models churn-classifier:3 --json\n\n"
        "Every run that proves a bento is registered as a version; the same bytes are the same version."
    )


def main(args: argparse.Namespace) -> int:
    """List the versions, or show one."""
    registry = Registry(Project.find())
    registry.sync()
    if args.version:
        print(_whole(registry.find(args.version), args.json))
        return 0
    every = registry.versions()
    if args.json:
        print(json.dumps([dataclasses.asdict(version) for version in every], ensure_ascii=False, indent=1))
    elif not every:
        print("No model is registered yet. `mlnb run` makes one and registers it.")
    else:
        print(_listing(every))
    return 0


def _listing(every: list[Version]) -> str:
    rows = []
    for version in reversed(every):
        facts, deciding = version.facts, version.facts["deciding"]
        gate = "passed" if facts["gate"] else "missed"
        when = formatting.moment(facts.get("finished")).replace(" UTC", "")
        result = [deciding["name"], formatting.number(deciding["value"]), formatting.interval(deciding), gate]
        people = ", ".join(version.approved_by)
        rows.append([version.name, ", ".join(version.aliases), *result, people, when, version.run])
    heads = ["version", "alias", "metric", "test", "interval", "gate", "approved by", "made", "run"]
    return table(heads, rows, right=("test",))


def _whole(version: Version, as_json: bool) -> str:
    if as_json:
        return json.dumps(dataclasses.asdict(version), ensure_ascii=False, indent=1)
    facts = version.facts
    rows = [
        ["version", version.name],
        ["alias", ", ".join(version.aliases) or "–"],
        ["approved by", ", ".join(version.approved_by) or "–"],
        ["run", version.run],
        ["bento", facts["bento"]],
        ["gate", "passed" if facts["gate"] else "missed"],
        ["rows proven over HTTP", str(facts["certificate"]["rows"])],
        *([name, formatting.number(value)] for name, value in facts["metrics"].items()),
        *([f"{name} digest", str(facts[name])[:16]] for name in ("data", "test", "code")),
        ["service digest", version.service[:16]],
        ["python", facts["environment"]["python"]],
        ["mlnb", facts["environment"]["mlnb"]],
    ]
    return table(["", ""], rows).lstrip("\n")
