"""Canary and shadow of each model of a service of several: the versions that an alias points to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlnb.engine.project import Project
from mlnb.errors import MlnbError
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.multi_model_bundles import PackagedModel
from mlnb.serving.packaging.packaged_runs import find_packaged_run
from mlnb.serving.runtime.model_catalog import CANARY, SHADOW


def assign_roles(
    project: Project, models: Sequence[PackagedModel], aliases: Mapping[str, str]
) -> tuple[list[PackagedModel], list[str]]:
    """Return models with canary and shadow, and a line for each version that cannot be served, with the reason.

    A model whose alias points to no version, or to the one that it is served at, has none.

    Args:
        project: the project.
        models: of the service.
        aliases: alias of the versions in each role, which is canary or shadow.
    """
    if not aliases:
        return [*models], []
    versions = Registry(project).versions()
    lines: list[str] = []
    bundles: dict[str, dict[str, Bundle]] = {CANARY: {}, SHADOW: {}}
    for role, alias in aliases.items():
        named = {version.model: version for version in versions if alias in version.aliases}
        for model in models:
            own = model.bundle
            version = named.get(own.name)
            if version is None or version.metadata.certificate.model == own.model_tag:
                continue
            try:
                bundles[role][own.name] = _read_bundle(project, version)
            except MlnbError as error:
                lines.append(f"{version.name} is left out as {role}: {error}")
        if not named.keys() & {model.bundle.name for model in models}:
            lines.append(f"There is no {role}: no model has a version with the alias {alias}.")
    routed = [
        replace(model, canary=bundles[CANARY].get(model.bundle.name), shadow=bundles[SHADOW].get(model.bundle.name))
        for model in models
    ]
    return routed, lines


def _read_bundle(project: Project, version: ModelVersion) -> Bundle:
    return Bundle.read(find_packaged_run(project, version.run).load("service"))
