"""Verification of a run's documents: every figure is in its artifact, no number is free, and no evidence is stale."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlnb.codec import decode
from mlnb.engine.notebook import read_notebook
from mlnb.engine.runs import Run
from mlnb.errors import MlnbError, UsageError
from mlnb.governance.checks import Check, CheckState, altered, missing, ok
from mlnb.governance.document_evidence import (
    EVIDENCE,
    FOLDER,
    RunEvidence,
    changed_cells,
    collect_evidence,
    document_path,
)
from mlnb.governance.stored_objects import check_file, find_digest
from mlnb.methods.documentation.evidence import (
    DocumentEvidence,
    Evidence,
    Span,
    find_altered_spans,
    find_free_numbers,
    resolve_pointer,
)

SHOWN = 3  # differences that a result names


def check_documents(run: Run, strict: bool = False) -> Iterator[Check]:
    """Yield a result for each document of a run and for its evidence; none for a run without documents.

    There is none either when an artifact that the documents need is damaged, which has a separate result: to load it
    would move it out of the store.

    Args:
        run: The run.
        strict: Whether a document with open points fails.
    """
    if not _has_documents(run):
        return
    if not (run.folder / FOLDER).is_dir():
        yield from _check_open(run, strict)
        return
    path = run.folder / FOLDER / EVIDENCE
    where = path.relative_to(run.project.root).as_posix()
    try:
        expected, inputs = collect_evidence(run), _load_inputs(run)
        stored = decode(RunEvidence, path.read_bytes(), where)
    except FileNotFoundError:
        yield missing(where)
        return
    except (MlnbError, OSError) as error:
        yield altered(where, str(error))
        return
    faults = [] if stored == expected else ["it is not the evidence of the run's artifacts"]
    faults += _wrong_values(expected, inputs)
    yield altered(where, "; ".join(faults[:SHOWN])) if faults else ok(where, f"{_count(expected)} references")
    again = _render(inputs)
    for name, evidence in expected.documents.items():
        yield _check_document(run, name, evidence, None if again is None else again.get(name), strict)


def check_document_sources(run: Run) -> Iterator[Check]:
    """Yield a stale result for each document that refers to an artifact whose stage has changed cells."""
    if not _has_documents(run):
        return
    evidence = collect_evidence(run)
    stale = {
        artifact: cells
        for artifact, origin in evidence.artifacts.items()
        if (cells := _changed_since(run, origin.stage)) is not None
    }
    for name, document in evidence.documents.items():
        used = sorted({span.artifact for span in document.spans} & stale.keys())
        if used:
            where = _subject(run, name)
            reasons = [f"{artifact}: {stale[artifact]}" for artifact in used]
            yield Check(where, CheckState.STALE, "; ".join(reasons[:SHOWN]))


def _has_documents(run: Run) -> bool:
    """Return whether a run has documents, and all artifacts that they need are as they were."""
    if not run.has("evidence"):
        return False
    from mlnb.methods.documentation.documents import READ, TEMPLATES  # needs Jinja and pandas, which only this does

    outputs = [run.output(name) for name in (*READ, *TEMPLATES, "answers", "evidence")]
    return all(
        output is not None and find_digest(run.project.store.path(output.digest)) == output.digest for output in outputs
    )


def _changed_since(run: Run, stage: str) -> str | None:
    """Return which cells of a stage changed since the run; None when none did."""
    record = run.stages[stage]
    if record.notebook is None or record.key_inputs is None:
        return None
    path = run.project.notebooks / record.notebook.rpartition("/")[2]
    try:
        unchanged = read_notebook(path).code_digest == record.key_inputs.code
    except (OSError, UsageError):
        return f"the notebook of stage {stage} cannot be read"
    if unchanged:
        return None
    cells = changed_cells(run.notebook_file(stage), path)
    return f"cells {', '.join(map(str, cells)) or 'were added'} of stage {stage} changed since the run"


def _check_document(run: Run, name: str, evidence: DocumentEvidence, again: str | None, strict: bool) -> Check:
    """Return the result for one document."""
    path, where = document_path(run, name), _subject(run, name)
    marked = check_file(run.project, where, run.require_output(name).digest)
    if marked.state == CheckState.ERASED:
        return marked
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return missing(where)
    except (OSError, UnicodeDecodeError) as error:
        return altered(where, str(error))
    if wrong := find_altered_spans(text, evidence.spans):
        return altered(where, "; ".join(_describe(text, span) for span in wrong[:SHOWN]))
    if free := find_free_numbers(text, evidence.spans):
        return altered(where, f"numbers without evidence: {', '.join(free[:SHOWN])}")
    if text != run.load(name):
        return altered(where, "it is not the document of the run")
    if again is not None and again != text:
        return Check(where, CheckState.STALE, "its templates have changed since: this version renders another text")
    return _check_points(where, evidence, strict)


def _check_open(run: Run, strict: bool) -> Iterator[Check]:
    """Yield a result for each document of a run without files, as of `mlnb run --no-report`."""
    for name, evidence in collect_evidence(run).documents.items():
        yield _check_points(_subject(run, name), evidence, strict)


def _check_points(where: str, evidence: DocumentEvidence, strict: bool) -> Check:
    """Return the result for a document whose text is as it was."""
    count = len(evidence.open_points)
    if count and strict:
        return Check(where, CheckState.OPEN, f"open: {'; '.join(evidence.open_points)}")
    return ok(where, f"{len(evidence.spans)} references" + f", {count} open points" * bool(count))


def _subject(run: Run, name: str) -> str:
    """Return what a document is called: its file, or the artifact where no file was written."""
    if not (run.folder / FOLDER).is_dir():
        return f"document {name} of {run.id}"
    return document_path(run, name).relative_to(run.project.root).as_posix()


def _describe(text: str, span: Span) -> str:
    line = text[: span.start].count("\n") + 1
    return (
        f"line {line} has {text[span.start : span.end]!r}, the evidence {span.text!r} ({span.artifact} {span.pointer})"
    )


def _load_inputs(run: Run) -> dict[str, Any]:
    """Return the artifacts that the documents are rendered from, as JSON."""
    from mlnb.methods.documentation.documents import READ

    names = [*READ, "answers"]
    return {name: run.load(name) for name in names}


def _render(inputs: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the documents rendered again; None when this version cannot render them."""
    from mlnb.methods.documentation.documents import render_documents

    try:
        return render_documents(inputs)[0]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # artifacts of another version


def _wrong_values(evidence: RunEvidence | Evidence, inputs: Mapping[str, Any]) -> list[str]:
    """Return where a value of the evidence is not in its artifact."""
    tables = {name: value.to_dict("records") for name, value in inputs.items() if hasattr(value, "to_dict")}
    values, wrong = {**inputs, **tables}, list[str]()
    for span in _spans(evidence):
        if span.artifact in values and not span.derived:
            value = resolve_pointer(values[span.artifact], span.pointer)
            if value != span.raw and str(value) != span.raw:
                wrong.append(f"{span.artifact} {span.pointer} is {value!r}, the evidence has {span.raw!r}")
    return wrong


def _spans(evidence: RunEvidence | Evidence) -> Sequence[Span]:
    return [span for document in evidence.documents.values() for span in document.spans]


def _count(evidence: RunEvidence) -> int:
    return len(_spans(evidence))
