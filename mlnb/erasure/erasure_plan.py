"""What an erasure would change: every location of the selected rows, and the versions that were trained on them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlnb.engine.digests import digest_bytes
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, read_runs
from mlnb.erasure.condition_columns import require_columns
from mlnb.erasure.conditions import Selection
from mlnb.erasure.file_contents import ContentSearch
from mlnb.erasure.file_search import EMBEDDINGS, Action, Location, find_files
from mlnb.erasure.production_rows import Position, SegmentRows, find_labels, find_segments, positions, read_segment
from mlnb.erasure.restored_rows import find_restored, read_restored_files
from mlnb.erasure.search_terms import SearchTerms
from mlnb.erasure.stored_rows import StoredRows, find_stored_rows, find_tables, object_paths, stage_uses
from mlnb.errors import MlnbError, ProjectError
from mlnb.governance.data_restoration import local_sources
from mlnb.governance.document_evidence import FOLDER
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.tables.data_sources import place_source
from mlnb.monitoring.labels import read_events
from mlnb.monitoring.monitoring_paths import log_folder
from mlnb.monitoring.prediction_table import convert_finished
from mlnb.registry.known_head import registry_exists
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.serving.packaging.multi_model_bundles import stored_tags

if TYPE_CHECKING:
    import pandas as pd

CARD = "model_card"  # name of its files
STATE = "Marked for retraining: rows that this model was trained on were erased (see `mlnb models`)."
MARKDOWN = f"\n> **{STATE}**\n".encode()
HTML = f'<p role="note"><strong>{STATE.replace("`", "")}</strong></p>'.encode()


@dataclass
class ModelRows:
    """Selected rows of a model in production.

    Attributes:
        model: its name.
        segments: segments of its prediction log with selected rows.
        database: its labels.
        events: numbers of their label events.
        labels: request and position of these events.
    """

    model: str
    segments: list[SegmentRows]
    database: Path
    events: list[int]
    labels: list[Position]


@dataclass
class ErasurePlan:
    """All that holds selected rows.

    Attributes:
        selection: the conditions.
        stored: objects of the store.
        files: files and folders.
        production: prediction logs and labels.
        sources: where the tables with the rows were read from.
        trained: versions that were trained on the rows.
        unservable: versions whose service holds the rows.
        restored: restored files and their copies among `files` that are not deleted.
        moved: restored files with the rows that are not where they were written.
        restored_records: records of restored files that are deleted or moved.
    """

    selection: Selection
    stored: StoredRows
    files: list[Location]
    production: list[ModelRows]
    sources: list[str] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    unservable: list[str] = field(default_factory=list)
    restored: list[Path] = field(default_factory=list)
    moved: list[Path] = field(default_factory=list)
    restored_records: list[Path] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The largest number of selected rows in one table or prediction log."""
        logged = [sum(int(each.matches.sum()) for each in one.segments) for one in self.production]
        return max([0, *self.stored.tables.values(), *logged])

    @property
    def changes(self) -> int:
        """The number of locations that would be changed."""
        own = sum(each.action != Action.BY_HAND for each in self.files)
        production = sum(len(each.segments) + bool(each.events) for each in self.production)
        return own + len(self.stored.objects) + production

    @property
    def versions(self) -> list[str]:
        """Versions that are to be trained again."""
        return list(dict.fromkeys((*self.trained, *self.unservable)))


def plan_erasure(project: Project, selection: Selection) -> ErasurePlan:
    """Return everything that holds selected rows; nothing is changed, but logs of ended services are finished.

    Raises:
        ProjectError: The record of a run is damaged, so that it is not known what the run made.
        UsageError: A segment of a prediction log is damaged, or no table has a column of the conditions.
    """
    runs, problems = read_runs(project)
    if problems:
        raise ProjectError(
            f"{problems[0]} Nothing was erased: repair the file, or move the folder of the run out of the project."
        )
    versions = Registry(project).versions() if registry_exists(project) else []
    for model in sorted({version.model for version in versions}):
        log_folder(project, model)  # gets the segments that are in object storage alone
    logs = sorted(path for path in (project.store_root / "predictions").glob("*") if path.is_dir())
    for log in logs:
        convert_finished(log)
    terms = SearchTerms(selection.values())
    tables = find_tables(object_paths(project).values(), selection, terms.add)
    for log in logs:
        _collect_log(log, selection, terms)
    restored_files = read_restored_files(project, selection, terms.add)
    require_columns(project, runs, (project.store_root / "labels").glob("*.db"), selection)
    terms.finish()
    search = ContentSearch(selection, terms)
    uses = stage_uses(project, runs)
    stored = find_stored_rows(project, uses, search, tables)
    restored = find_restored(project, restored_files, runs, search, stored)
    own = {location.path for location in restored.locations}
    others = find_files(project, search, stored, _tags(runs, versions) | stored_tags(project))
    files = [*restored.locations, *(location for location in others if location.path not in own)]
    copies = {each.before for each in files if each.action == Action.REDACT} & object_paths(project).keys()
    for digest in copies - stored.objects:  # executed notebooks are in the store, too
        stored.derived.add(digest)
        stored.names[digest] = [f"object {digest[:12]}: executed notebook"]
    plan = ErasurePlan(selection, stored, files, [*_production(project, logs, selection)])
    plan.restored = [each.path for each in restored.locations if each.action == Action.BY_HAND]
    plan.moved, plan.restored_records = restored.moved, restored.records
    plan.sources = _sources(project, runs, stored)
    plan.trained = [version.name for version in versions if _is_trained(version, runs, stored)]
    plan.unservable = [version.name for version in versions if _service_parts(project, version) & stored.objects]
    plan.files += _marked_cards(project, versions, plan)
    embeddings = project.store_root / EMBEDDINGS
    if plan.changes and embeddings.is_dir():  # vectors by digest: it is not stored whose they are
        plan.files.append(Location(embeddings, "cache of embeddings", Action.DELETE))
    return plan


def _collect_log(log: Path, selection: Selection, terms: SearchTerms) -> None:
    for path in sorted((*log.glob("*.parquet"), *log.glob("*.jsonl"))):
        table = read_segment(path)
        inputs: pd.DataFrame = table[[name for name in table.columns if str(name).startswith("in.")]]
        matches = selection.matches(table)
        if matches is not None:
            terms.add(inputs, matches)


def _production(project: Project, logs: Iterable[Path], selection: Selection) -> Iterable[ModelRows]:
    names = {log.name: log for log in logs}
    databases = {path.stem: path for path in (project.store_root / "labels").glob("*.db")}
    for model in sorted(names.keys() | databases.keys()):
        segments = [*find_segments(names[model], selection)] if model in names else []
        database = project.store_root / "labels" / f"{model}.db"
        events = find_labels(database, positions(segments), selection)
        gone = {*events}
        labels = [(each.request, each.row) for each in read_events(database) if each.number in gone]
        if segments or events:
            yield ModelRows(model, segments, database, events, labels)


def _tags(runs: Iterable[Run], versions: Iterable[ModelVersion]) -> set[str]:
    """Return the tags of the bentos and models that the project's runs and versions have built."""
    certificates = [version.metadata.certificate for version in versions]
    for run in runs:
        if run.has("certificate"):
            try:
                certificates.append(run.load("certificate", ParityCertificate))
            except (MlnbError, OSError):
                continue  # damaged: `mlnb verify` reports it
    return {tag for each in certificates for tag in (each.bento, each.model)}


def _is_trained(version: ModelVersion, runs: Iterable[Run], stored: StoredRows) -> bool:
    """Return whether a version was trained on selected rows; of a run that is gone, whether its data had them."""
    run = next((run for run in runs if run.id == version.run), None)
    training = run.output("training") if run else None
    digest = training.digest if training else version.metadata.data
    return digest in {*stored.tables, *stored.derived}


def _service_parts(project: Project, version: ModelVersion) -> set[str]:
    """Return the digests of the files of a version's service."""
    try:
        return {*project.store.read_listing(version.metadata.service.digest).values()}
    except (MlnbError, OSError):
        return set()


def _marked_cards(project: Project, versions: Iterable[ModelVersion], plan: ErasurePlan) -> Iterable[Location]:
    """Yield the model cards of versions that are to be trained again, with their state."""
    runs = {version.run for version in versions if version.name in plan.versions}
    changed = {location.path for location in plan.files}
    for folder in (project.runs / run / FOLDER for run in sorted(runs)):
        for path, start, note in ((folder / f"{CARD}.md", b"\n", MARKDOWN), (folder / f"{CARD}.html", b"</h1>", HTML)):
            if path in changed or not path.is_file():
                continue
            data = path.read_bytes()
            head, separator, rest = data.partition(start)
            if separator and note not in data:
                yield Location(path, "model card", Action.REWRITE, digest_bytes(data), head + separator + note + rest)


def _sources(project: Project, runs: Iterable[Run], stored: StoredRows) -> list[str]:
    """Return where the raw tables with selected rows were read from: complete paths of files, else as recorded."""
    sources: dict[str, None] = {}
    for run in runs:
        raw: Any = run.output("raw")
        if raw is None or raw.digest not in stored.tables:
            continue
        if paths := [os.path.abspath(place_source(value, str(project.root))) for value in local_sources(run)]:
            sources |= dict.fromkeys(paths)
        elif run.has("provenance"):
            try:
                sources[str(run.load("provenance").get("source", ""))] = None
            except (MlnbError, OSError, AttributeError):
                continue
    return [source for source in sources if source]
