"""The catalog of a running service of several models, kept at the versions that are champion, canary and shadow now."""

import argparse
import sys
from pathlib import Path
from time import monotonic

from mlnb.cli.selected_bento import SelectedModels, add_roles, find_models
from mlnb.codec import encode
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError
from mlnb.registry.audit_log import last_entry
from mlnb.registry.registry import Registry
from mlnb.serving.packaging.multi_model_bundles import make_catalog

SECONDS = 30.0  # after which the models are read again though the registry has not changed: a run may be gone


class FollowedModels:
    """Writes the catalog of the models that options select whenever one has another version, canary or shadow.

    Args:
        project: The project.
        path: Of the catalog.
        args: The options of `selected_bento.add_options`, and `follow`: whether champions are followed, too.
    """

    def __init__(self, project: Project, path: Path, args: argparse.Namespace) -> None:
        self.project, self.path, self.args = project, path, args
        self.registry = Registry(project)
        self.read = (-1, 0.0)  # last entry of the registry and time, when all models were read last
        self.selected: SelectedModels | None = None  # the models, without canary and shadow
        self.versions: dict[str, str] = {}  # tag of each model, by its name and role
        self.reported = ""  # error that was printed last
        self.omitted: tuple[str, ...] = ()  # lines about models that are left out

    def update(self) -> None:
        """Write the catalog if a version has changed; an error is printed once, and the service goes on."""
        try:
            now, entry = monotonic(), last_entry(self.registry.engine)
            if entry == self.read[0] and now < self.read[1] + SECONDS:
                return  # reading all bundles takes 20 ms for each
            if self.selected is None or self.args.follow:
                self.selected = find_models(self.project, self.args)
            selected = add_roles(self.project, self.selected, self.args)
            models = selected.models
            content = encode(make_catalog(models, selected.fallback, share=selected.share))
        except MlnbError as error:  # a locked registry or a deleted run: the models stay
            if str(error) != self.reported:
                print(f"mlnb serve: {error}", file=sys.stderr, flush=True)
            self.reported = str(error)
            return
        self.reported, self.read = "", (entry, now)
        for line in selected.omitted:
            if line not in self.omitted and self.versions:  # at the start, they are printed before
                print(line, file=sys.stderr, flush=True)
        self.omitted = selected.omitted
        if self.path.exists() and self.path.read_bytes() == content:
            return
        write_whole(self.path, content)
        versions = {name: bundle.model_tag for model in models for name, bundle in model.bundles.items()}
        for name in sorted(versions.keys() | self.versions.keys()):
            model, _, role = name.partition("@")
            if versions.get(name) == self.versions.get(name) or not (role or self.versions):
                continue
            if name in versions:
                print(f"{f'{role} deployment of' if role else 'serving'} {versions[name]}", flush=True)
            else:
                print(f"removed {f'{role} of {model}' if role else model}", flush=True)
        self.versions = versions
