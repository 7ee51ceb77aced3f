"""Options that `mlnb run` and `mlnb plan` share."""

import argparse
from pathlib import Path

from mlnb.api.run_request import RunRequest
from mlnb.engine.parameter_values import DEFAULT
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step

EXAMPLES = """examples:
  mlnb run                                        run the default pipeline; unchanged stages are reused
  mlnb run --data churn.csv --target Churn        run it on another file
  mlnb run --profile quick                        a verified service within seconds, from two trials
  mlnb run --profile smoke                        a short run that checks that everything works
  mlnb run -p tune.trials 50 -p seed 7            set parameters; a name without a stage sets it in every stage
  mlnb run -f params.yaml                         set many, as `tune.trials: 50` or nested by stage
  mlnb run -g tune.sampler=tpe,random -g seed=1,2 four runs; what they have in common runs once
  mlnb run --data shops.csv --target sold --each store   one model for each store; shared stages run once
  mlnb run --data shops.csv --target sold --each store --with-global     and one of all rows, compared with them
  mlnb run --target sold --each 'shops/*.csv'     one model for each file
  mlnb plan --data shops.csv --target sold --each store  which stages each segment would run, or why it is skipped
  mlnb run -p protected '["sex"]' -p fairness_mitigation reductions   fit a model whose decisions differ less by group
  mlnb run --upto features                        stop after a stage; see also --from, --only and --force
  mlnb run -p ingest.data 'postgresql://u:${DB_PASSWORD}@host/db::customers'   the secret is not stored

With --each, a segment (a value of the column, or a file) is a run with its record, report, service and registered model
(sold-regressor.berlin). Segments with few rows or one class are skipped, a failed one leaves the others finished, and
the same command continues: what is finished is reused. The exit code is the highest one of all segments.

Without --data, the data and target of the folder's last run that could read both are used and printed, unless
notebooks, profile or -f name the data.
columns.toml in the project folder declares columns: kind, role, date format, missing values, unit.
Profiles are sets of parameters in settings.ini; `mlnb stages` lists them. `quick` tries two models (of a table LightGBM
and a linear one, with default parameters) on three folds and draws no figures; packaging and parity check are complete.
`many` is for many models: a short search, no figures.
Precedence of values: notebook < --profile < -f < --data, --target and -p < -g.
`mlnb stages NAME` lists the parameters of a stage.
"""


def at_least_one(text: str) -> int:
    """Return the number of an option. Raises `ArgumentTypeError` for another text than a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number, at least 1")
    return int(text)


def not_empty(text: str) -> str:
    """Return the text of an option. Raises `ArgumentTypeError` for an empty one, such as that of an unset variable."""
    if not text:
        raise argparse.ArgumentTypeError("found an empty text, expected a name or pattern")
    return text


class Once(argparse.Action):
    """Stores the value of an option; refuses a second one that differs, which would replace it silently."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        """Store a value. Raises `ArgumentError` for a second one that differs."""
        before = getattr(namespace, self.dest)
        if before not in (None, values):
            raise argparse.ArgumentError(self, f"found {before!r} and {values!r}, expected one value")
        setattr(namespace, self.dest, values)


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options that select pipeline, stages and parameters."""
    p.add_argument("pipeline", nargs="?", help="pipeline of settings.ini (default: the setting `pipeline`)")
    p.add_argument("--data", metavar="DATA", help="data set: a file, a URL, SQL, sklearn:NAME or source:NAME")
    p.add_argument("--target", metavar="COLUMN", help="column to predict: its name or, without a header, its position")
    p.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set stage.name, or name in every stage that has it",
    )
    p.add_argument("-f", "--file", action="append", default=[], type=Path, metavar="YAML", help="file of parameters")
    p.add_argument(
        "-g", "--grid", action="append", default=[], metavar="NAME=A,B", help="one run per combination of values"
    )
    p.add_argument("--inputs-from", metavar="RUN", help="run or version that supplies missing inputs")
    p.add_argument("--profile", help="profile of settings.ini, such as quick")
    p.add_argument("--upto", metavar="STAGE", help="run this stage and the stages it depends on")
    p.add_argument("--from", dest="since", metavar="STAGE", help="run this stage and the stages that depend on it")
    p.add_argument("--only", nargs="+", action="extend", default=[], metavar="STAGE", help="run these stages only")
    p.add_argument(
        "--force", nargs="*", action="extend", metavar="STAGE", help="run these stages (default: all) though unchanged"
    )
    p.epilog = EXAMPLES


def read_request(args: argparse.Namespace) -> RunRequest:
    """Return what the options of `add_options` state."""
    return RunRequest(
        pipeline=args.pipeline,
        data=args.data,
        target=args.target,
        pairs=[(name, text) for name, text in args.parameter],
        files=args.file,
        grid=args.grid,
        inputs_from=args.inputs_from,
        profile=args.profile,
        upto=args.upto,
        since=args.since,
        only=args.only,
        force=args.force,
    )


def plan_lines(planner: Planner, steps: list[Step]) -> list[str]:
    """Return the plan as text: a line per stage with action and reason, then the values that are not defaults."""
    labels = {"pending": "run?", "skip": "-"}
    width = max(len(step.name) for step in steps)
    lines = [f"  {step.name:<{width}}  {labels.get(step.action, step.action):<6}  {step.reason}" for step in steps]
    values = [
        f"  {stage}.{name} = {value.value!r}   ({value.origin})"
        for stage, items in planner.values.items()
        for name, value in items.items()
        if value.origin != DEFAULT
    ]
    return lines + (["", "values that are not defaults:", *values] if values else [])
