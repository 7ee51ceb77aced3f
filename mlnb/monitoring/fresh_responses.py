"""Responses of champion and challenger to fresh rows, through the code that serves both models."""

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mlnb.codec import convert
from mlnb.methods.contracts.evaluations import UNLABELED_METRIC
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.operations.challenge_pairs import FreshResponses, Response, Rows, forecast_requests
from mlnb.methods.operations.logged_data import plain_rows
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.scored_handlers import AnomalyHandler
from mlnb.serving.runtime.served_tasks import find_served_task

TIMED_REQUESTS, TIMED_ROWS = 20, 200  # requests of forecasts, and single rows, whose time is measured


def respond_to_fresh(
    champion: Path, challenger: Path, contract: ProblemContract, fresh: pd.DataFrame, history: pd.DataFrame | None
) -> FreshResponses:
    """Return the responses of both models to fresh rows.

    Args:
        champion: folder of its bundle.
        challenger: folder of its bundle.
        contract: of the challenger.
        fresh: n rows that neither was trained on.
        history: of a forecast: typed rows before them; None for rows of a table.

    Raises:
        ValueError: when the models are of different tasks, or one refuses the rows.
    """
    models = {
        name: Predictor.load(path / "model") for name, path in (("champion", champion), ("challenger", challenger))
    }
    tasks = [model.parts.contract.task for model in models.values()]
    if tasks[0] != tasks[1]:
        raise ValueError(
            f"found task {tasks[0]!s} of the champion and {tasks[1]!s} of the challenger; expected the same"
        )
    if history is not None:
        encoders = [model.parts.encoder for model in models.values()]
        reach = max(convert(encoder.get("reach", encoder["width"]), int) for encoder in encoders)
        requests = forecast_requests(history, fresh, contract, reach)
    else:
        requests = [plain_rows(fresh, set(fresh.columns) - {contract.target})]
    sent = {name: _known_columns(model, requests) for name, model in models.items()}
    responses = {name: _respond(name, model, sent[name]) for name, model in models.items()}
    seconds = {name: _mean_seconds(model, sent[name], history is not None) for name, model in models.items()}
    handler, encoded = models["champion"].handler, None
    if contract.metric == UNLABELED_METRIC and isinstance(handler, AnomalyHandler):
        encoded = handler.encode(sent["champion"][0])
    return FreshResponses(
        champion=responses["champion"],
        challenger=responses["challenger"],
        champion_seconds=seconds["champion"],
        challenger_seconds=seconds["challenger"],
        encoder=models["champion"].parts.encoder,
        encoded=encoded,
    )


def _known_columns(model: Predictor, requests: Sequence[Rows]) -> list[list[Row]]:
    """Return the requests with the columns that a model knows."""
    parts = model.parts
    names = set(find_served_task(parts.contract).columns(parts.schema, parts.contract).names)
    return [[{name: value for name, value in row.items() if name in names} for row in rows] for rows in requests]


def _respond(name: str, model: Predictor, requests: Sequence[list[Row]]) -> list[Sequence[Response]]:
    """Return the responses to each request. Raises `ValueError` when the model refuses a row."""
    try:
        return [model.predict(rows) for rows in requests]
    except BadRows as error:
        raise ValueError(f"the {name} refuses fresh rows: {error}") from None


def _mean_seconds(model: Predictor, requests: Sequence[list[Row]], whole: bool) -> float:
    """Return the mean time of a request, or of a request with one row."""
    timed = list(requests[:TIMED_REQUESTS]) if whole else [[row] for row in requests[0][:TIMED_ROWS]]
    start = time.perf_counter()
    for rows in timed:
        model.predict(rows)
    return (time.perf_counter() - start) / len(timed)
