"""Names of models: what BentoML allows, from what is predicted, and of the models of segments."""

import re
import unicodedata

from mlnb.engine.digests import digest_value
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of

LONGEST_NAME = 40  # characters; BentoML allows 63
LONGEST_SEGMENT = 24  # characters of the part of a name that is a segment's
DIGEST_DIGITS = 6  # hexadecimal digits, for segments whose names differ in characters that are not allowed


def tag_name(text: str) -> str:
    """Return `text` as BentoML allows it in a name: lower-case letters, digits, dots, dashes; may be empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain)[:LONGEST_NAME].strip("-.")


def default_name(contract: ProblemContract) -> str:
    """Return a name from what is predicted: `survived-classifier`, `mpg-regressor`, `relevance-ranker`."""
    kind = traits_of(contract.task).model_kind
    return "-".join(part for part in (tag_name(str(contract.target or "")), kind) if part)


def segment_model(name: str, segment: str) -> str:
    """Return the name of the model of a segment: `churn-classifier.berlin`; that of all rows for an empty segment.

    A segment with characters that BentoML does not allow has a digest in its name, so that no other one has the same.
    """
    if not segment:
        return name
    tag = tag_name(segment)
    if tag != segment.lower() or len(tag) > LONGEST_SEGMENT:
        short = tag[: LONGEST_SEGMENT - DIGEST_DIGITS - 1].strip("-.")
        tag = "-".join(part for part in (short, digest_value(segment)[:DIGEST_DIGITS]) if part)
    return f"{name[: LONGEST_NAME - 2].strip('-.')}.{tag}"
