"""The result of an export, whatever its form, and the description of a model that has none."""

from dataclasses import dataclass

from mlnb.errors import UsageError
from mlnb.methods.contracts.decisions import Decision
from mlnb.methods.encoding.custom_encoders import CustomCodec
from mlnb.methods.encoding.embedded_text import EmbeddedTextCodec
from mlnb.methods.models.custom_families import CustomModel


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how it compares with the notebook on the golden rows.

    Args:
        rows: golden rows that were compared.
        largest_difference: of a probability, or of a value relative to its size.
        tolerance: largest difference that is accepted.
        bytes: size of all files.
    """

    rows: int
    largest_difference: float
    tolerance: float
    bytes: int


def custom_refusal(codec: CustomCodec, form: str) -> UsageError:
    """Return the error for a column that an encoder of the project encodes, in a form that cannot run its code."""
    return UsageError(
        f"Column {codec.column!r} is encoded by {codec.source.name!r} of {codec.source.file}, code of the project that "
        f"{form} cannot run. Use mlnb serve, mlnb containerize or mlnb score instead, or train without the encoder."
    )


def refuse_groups(decision: Decision, form: str) -> None:
    """Raise `UsageError` for a decision that depends on groups, which a form without the service does not have."""
    if decision.groups is not None:
        names = ", ".join(map(repr, decision.groups.columns))
        raise UsageError(
            f"Decisions depend on groups of {names}, which {form} does not support. Deploy the service or a container, "
            "or run again with -p problem.fairness_mitigation none."
        )


def embedding_refusal(codec: EmbeddedTextCodec, form: str) -> UsageError:
    """Return the error for a column with embeddings, in a form that has no sentence model."""
    return UsageError(
        f"Column {codec.column!r} is embedded by the model {codec.source.model!r}, which {form} cannot run. Use mlnb "
        "serve, mlnb containerize or mlnb score instead, or train without features.embeddings."
    )


def describe_native(native: object) -> str:
    """Return what a model consists of, for the message that it cannot be exported."""
    return str(native) if isinstance(native, CustomModel) else f"a pickle of {type(native).__name__}"
