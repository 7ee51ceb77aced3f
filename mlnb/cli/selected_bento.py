"""The bento of a run or version, or one of several models that filters select, for commands that build or serve it."""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlnb.cli.all_models import add_filters, selected_models, selects_several
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.registry.registry import Registry
from mlnb.registry.run_references import run_reference
from mlnb.serving.packaging.bento_stores import BuiltBento, build_bento
from mlnb.serving.packaging.bundles import BentoSource
from mlnb.serving.packaging.model_names import segment_model
from mlnb.serving.packaging.multi_model_bundles import PackagedModel, make_multi_model_bundle
from mlnb.serving.packaging.packaged_runs import LATEST, build_packaged_run, find_packaged_run


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


def add_options(p: argparse.ArgumentParser, name: str = "--name") -> None:
    """Add the options that select one run or several models; `name` is the one with the pattern of names."""
    p.add_argument(
        "run", nargs="?", default=LATEST, help="run, or version such as @champion (default: newest verified run)"
    )
    add_filters(p, name=name)
    p.add_argument(
        "--fallback", action="store_true", help="with several models: that of all rows predicts other segments"
    )


def serves_several(args: argparse.Namespace) -> bool:
    """Return whether the options select several models. Raises `UsageError` when they contradict each other."""
    several = selects_several(args, "" if args.run == LATEST else args.run)
    if args.fallback and not several:
        raise UsageError("--fallback is for a service of several models; expected --all, --name or --segment, too.")
    return several


def selection_words(args: argparse.Namespace, name: str = "--name") -> list[str]:
    """Return the options that select the same models in another command, whose pattern of names is option `name`."""
    words = ["--all"] if args.all else []
    for option, pattern in ((name, args.name), ("--segment", args.segment)):
        words += [option, pattern] if pattern else []
    return words + ["--fallback"] * args.fallback


def build_selected(project: Project, args: argparse.Namespace) -> SelectedBento:
    """Return the bento of the run that options name, or that of all models that they select."""
    if not serves_several(args):
        run = find_packaged_run(project, run_reference(project, args.run))
        bundle, built = build_packaged_run(run)
        return SelectedBento(bundle, built, run.id, f"run {run.id}")
    models = find_models(project, args)
    with tempfile.TemporaryDirectory(prefix="mlnb-models-") as folder:
        source = make_multi_model_bundle(Path(folder), models, project, args.fallback)
        built = build_bento(source)
    stored = BentoSource(built.path / "src", source.name, source.version, "")
    return SelectedBento(stored, built, "", f"{len(models)} models")


def find_models(project: Project, args: argparse.Namespace) -> list[PackagedModel]:
    """Return the models that options select: the champion of each, else its newest version.

    Versions whose run is in another project are left out, with a line on standard error.

    Raises:
        UsageError: no model is selected, or there is none for the fallback.
    """
    registry = Registry(project)
    registry.sync()
    versions = {version.model: version for version in selected_models(registry, args)}
    if args.fallback:
        every = argparse.Namespace(name="", segment="")
        general = {one.model: one for one in selected_models(registry, every) if not one.metadata.segment}
        for model, version in [*versions.items()]:
            for name, other in general.items():
                if version.metadata.segment and segment_model(name, version.metadata.segment) == model:
                    versions[name] = other
    present = [version for version in versions.values() if (project.runs / version.run).is_dir()]
    for version in versions.values():
        if version not in present:
            print(f"{version.name} is left out: its run {version.run} is not in this project", file=sys.stderr)
    if not present:
        raise UsageError(
            "No run of the selected models is in this project; expected one of them in its folder of runs."
        )
    return [PackagedModel.of(find_packaged_run(project, version.run)) for version in present]
