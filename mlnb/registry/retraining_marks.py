"""Versions that are to be trained again, as rows that they were trained on were erased."""

from collections.abc import Iterable

from mlnb.registry.audit_log import Entry


def retraining_marks(log: Iterable[Entry]) -> dict[str, Entry]:
    """Return the first entry of the audit log that marks a version for retraining, by the name of the version."""
    marks: dict[str, Entry] = {}
    for entry in log:
        for version in entry.evidence.erasure.retrain if entry.evidence.erasure else ():
            marks.setdefault(version, entry)
    return marks


def describe_mark(entry: Entry) -> str:
    """Return in words why a version is to be trained again."""
    return (
        f"rows that it was trained on were erased on {entry.when[:10]} (entry {entry.number} of the audit log): "
        "`mlnb run` trains a version without them"
    )
