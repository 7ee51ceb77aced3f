"""The bento of a run or version, or one of several models that filters select, for commands that build or serve it."""

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from mlnb.api.several_models import ModelFilter, select_models
from mlnb.api.traffic_roles import assign_roles
from mlnb.cli.all_models import add_filters, selected_models, selects_several
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, UsageError
from mlnb.registry.registry import Registry
from mlnb.registry.run_references import run_reference
from mlnb.serving.packaging.bento_stores import BuiltBento, build_bento
from mlnb.serving.packaging.bundles import BentoSource
from mlnb.serving.packaging.model_names import segment_model
from mlnb.serving.packaging.multi_model_bundles import SHARE, PackagedModel, make_multi_model_bundle
from mlnb.serving.packaging.packaged_runs import LATEST, build_packaged_run, find_packaged_run
from mlnb.serving.runtime.model_catalog import CANARY, SHADOW, check_share
from mlnb.settings import ServiceSettings


@dataclass(frozen=True)
class SelectedBento:
    """A bento that was built, and what it was built from.

    Attributes:
        source: files that it was built from, in BentoML's store.
        built: the bento.
        run: id of the run; empty: it has several models.
        origin: for messages, such as "run 20260102-0304" or "40 models".
    """

    source: BentoSource
    built: BuiltBento
    run: str
    origin: str


@dataclass(frozen=True)
class SelectedModels:
    """Models for one service.

    Attributes:
        models: that it has.
        omitted: a line for each selected model that it does not have, with the reason.
        fallback: whether the model of all rows predicts the rows of other segments.
        share: of the keys that each canary serves.
    """

    models: list[PackagedModel]
    omitted: tuple[str, ...]
    fallback: bool
    share: float = SHARE


def add_options(p: argparse.ArgumentParser, name: str = "--name") -> None:
    """Add the options that select one run or several models; `name` is the one with the pattern of names."""
    p.add_argument(
        "run", nargs="?", default="", help="run, or version such as @champion (default: newest verified run)"
    )
    add_filters(p, name=name)
    p.add_argument(
        "--fallback", action="store_true", help="with several models: that of all rows predicts other segments"
    )
    p.add_argument("--shadow", metavar="VERSION", help="shadow model: its responses are logged, not returned")
    p.add_argument("--canary", metavar="VERSION", help="canary model: serves --share of the keys until it fails")
    p.add_argument("--share", type=float, default=SHARE, help="share of the canary, up to 0.5 (default: %(default)s)")


def serves_several(args: argparse.Namespace) -> bool:
    """Return whether the options select several models. Raises `UsageError` when they contradict each other."""
    several = selects_several(args, args.run)
    if args.fallback and not several:
        raise UsageError("--fallback is for a service of several models; expected --all, --name or --segment, too.")
    return several


def selection_words(args: argparse.Namespace, name: str = "--name") -> list[str]:
    """Return the options that select the same models in another command, whose pattern of names is option `name`."""
    words = ["--all"] if args.all else []
    for option, pattern in ((name, args.name), ("--segment", args.segment)):
        words += [option, pattern] if pattern else []
    words += ["--fallback"] * args.fallback
    for option, reference in (("--canary", args.canary), ("--shadow", args.shadow)):
        words += [option, reference] if reference else []
    return words + (["--share", f"{args.share:g}"] if args.canary and args.share != SHARE else [])


def build_selected(project: Project, args: argparse.Namespace, routed: bool = False) -> SelectedBento:
    """Return the bento of the run that options name, or that of all models that they select.

    Args:
        project: The project.
        args: The options of `add_options`.
        routed: Whether the service of one model may have a canary and a shadow: only a running one has.

    Raises:
        UsageError: The options contradict each other.
    """
    check_share(args.share, "--share")
    if args.share != SHARE and not args.canary:
        raise UsageError(f"--share is {args.share:g}, and there is no canary; add --canary VERSION.")
    if not serves_several(args):
        if (args.canary or args.shadow) and not routed:
            raise UsageError(
                "--canary and --shadow need several models (--all, --name or --segment). Those of the service of one "
                f"model are pointers: `mlnb serve` has both options, a container {ServiceSettings.canary.variable} and "
                f"{ServiceSettings.shadow.variable}."
            )
        run = find_packaged_run(project, run_reference(project, args.run or LATEST))
        bundle, built = build_packaged_run(run)
        return SelectedBento(bundle, built, run.id, f"run {run.id}")
    selected = add_roles(project, find_models(project, args), args)
    for line in selected.omitted:
        print(line, file=sys.stderr)
    models = selected.models
    with tempfile.TemporaryDirectory(prefix="mlnb-models-") as folder:
        source = make_multi_model_bundle(Path(folder), models, project, selected.fallback, selected.share)
        built = build_bento(source)
    stored = BentoSource(built.path / "src", source.name, source.version, "")
    return SelectedBento(stored, built, "", f"{len(models)} models")


def add_roles(project: Project, selected: SelectedModels, args: argparse.Namespace) -> SelectedModels:
    """Return the models with the canary and the shadow of each that has a version with the alias of an option.

    Raises:
        UsageError: An option names something else than an alias.
    """
    aliases: dict[str, str] = {}
    for role, reference in ((CANARY, args.canary), (SHADOW, args.shadow)):
        if reference and not reference.startswith("@"):
            raise UsageError(
                f"--{role} is {reference!r}; expected an alias, which each model has a version for: @challenger."
            )
        if reference:
            aliases[role] = reference[1:]
    models, lines = assign_roles(project, selected.models, aliases)
    return replace(selected, models=models, omitted=(*selected.omitted, *lines), share=args.share)


def find_models(project: Project, args: argparse.Namespace) -> SelectedModels:
    """Return the models that options select: the champion of each, else its newest version.

    Versions without a service that can be started, such as one with erased rows or a run in another project, are
    left out, so that the others are served.

    Raises:
        UsageError: no model is selected.
        MlnbError: none of the selected models has a service; the error of the first.
    """
    registry = Registry(project)
    registry.sync()
    versions = {version.model: version for version in selected_models(registry, args)}
    if args.fallback:
        general = {one.model: one for one in select_models(registry, ModelFilter()) if not one.metadata.segment}
        for model, version in [*versions.items()]:
            for name, other in general.items():
                if version.metadata.segment and segment_model(name, version.metadata.segment) == model:
                    versions[name] = other
    models, errors = list[PackagedModel](), dict[str, MlnbError]()
    for version in versions.values():
        try:
            if not (project.runs / version.run).is_dir():
                raise UsageError(f"its run {version.run} is not in this project; expected it in {project.runs}.")
            models.append(PackagedModel.of(find_packaged_run(project, version.run)))
        except MlnbError as error:
            errors[version.name] = error
    if not models:
        name, first = next(iter(errors.items()))
        raise type(first)(f"None of the selected models can be served. {name}: {first}") from first
    omitted = [f"{name} is left out: {reason}" for name, reason in errors.items()]
    fallback = args.fallback
    has_general = any(not version.metadata.segment for version in versions.values())
    if fallback and has_general and all(model.segment for model in models):
        fallback = False
        omitted.append(
            "There is no fallback: the model of all rows is left out, and rows of other segments are refused"
        )
    return SelectedModels(models, tuple(omitted), fallback)
