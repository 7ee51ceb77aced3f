"""The catalog of a running service of several models, kept at the version of each that is the champion now."""

import argparse
import sys
from pathlib import Path

from mlnb.cli.selected_bento import find_models
from mlnb.codec import encode
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError
from mlnb.serving.packaging.multi_model_bundles import make_catalog


class FollowedModels:
    """Writes the catalog of the models that options select whenever one has another version.

    Args:
        project: The project.
        path: Of the catalog.
        args: The options of `selected_bento.add_options`.
    """

    def __init__(self, project: Project, path: Path, args: argparse.Namespace) -> None:
        self.project, self.path, self.args = project, path, args
        self.versions: dict[str, str] = {}  # tag of each model, by its name
        self.reported = ""  # error that was printed last
        self.omitted: tuple[str, ...] = ()  # lines about models that are left out

    def update(self) -> None:
        """Write the catalog if a version has changed; an error is printed once, and the service goes on."""
        try:
            selected = find_models(self.project, self.args)
            models = selected.models
            content = encode(make_catalog(models, selected.fallback))
        except MlnbError as error:  # a locked registry or a deleted run: the models stay
            if str(error) != self.reported:
                print(f"mlnb serve: {error}", file=sys.stderr, flush=True)
            self.reported = str(error)
            return
        self.reported = ""
        for line in selected.omitted:
            if line not in self.omitted and self.versions:  # at the start, they are printed before
                print(line, file=sys.stderr, flush=True)
        self.omitted = selected.omitted
        if self.path.exists() and self.path.read_bytes() == content:
            return
        write_whole(self.path, content)
        versions = {model.bundle.name: model.bundle.model_tag for model in models}
        if self.versions:
            for name in sorted(versions.keys() | self.versions.keys()):
                if versions.get(name) != self.versions.get(name):
                    print(f"serving {versions[name]}" if name in versions else f"removed {name}", flush=True)
        self.versions = versions
