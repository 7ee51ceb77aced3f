"""Explanations of scores that are sums over columns: SHAP values, and the words of scored texts."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import UNSET

from mlnb.methods.contracts.responses import SumExplanation, Words
from mlnb.methods.encoding.scored_text import explain_texts
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import Model
from mlnb.methods.models.shap_values import compute_shap_values
from mlnb.serving.runtime.request_bodies import BadRequest


def explain_sums(
    model: Model,
    encoder: Encoder,
    arrays: Mapping[str, np.ndarray],
    encoded: np.ndarray,
    labels: np.ndarray | None = None,
    names: Sequence[str | None] | None = None,
) -> list[SumExplanation]:
    """Return what each column added to each row's raw score, and the words that count in its texts.

    Args:
        model: the fitted model.
        encoder: of its rows.
        arrays: column -> values of the rows (n,).
        encoded: the rows encoded (n, d).
        labels: class code whose score is explained (n,); None: the only score.
        names: name of the explained class of each row (n,); None: there are no classes.

    Raises:
        BadRequest: the model's score is not a sum over columns.
    """
    if not len(encoded):
        return []
    try:
        contributions, base, columns = compute_shap_values(model, encoded, encoder.explained, labels)
    except ValueError as error:
        raise BadRequest(f"this model's predictions cannot be explained: {error}", []) from None
    scores = (contributions.sum(axis=1) + base).tolist()
    words: Sequence[Words] = explain_texts(encoder.scored_texts, arrays, labels) or [UNSET] * len(scores)
    shares = [dict(zip(columns, row, strict=True)) for row in contributions.tolist()]
    rows = zip(names or [None] * len(scores), scores, base.tolist(), shares, words, strict=True)
    return [
        SumExplanation(class_name=name, score=score, base=start, columns=own, words=each)
        for name, score, start, own, each in rows
    ]
