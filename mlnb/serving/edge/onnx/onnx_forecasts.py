"""Forecasts as one ONNX graph: the examples of a history in, predictions of its horizon with their intervals out."""

import json
from collections.abc import Sequence

import numpy as np

from mlnb.methods.contracts.decisions import StepInterval
from mlnb.methods.encoding.custom_encoders import CustomCodec
from mlnb.methods.evaluation.forecast_responses import read_histories
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.serving.edge.exports import custom_refusal
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_models import write_model
from mlnb.serving.runtime.model_parts import ModelParts, Row

EXAMPLES, LEVEL, SCALE = "examples", "level", "scale"  # names of the inputs


def write_forecast(graph: Graph, parts: ModelParts) -> tuple[str, str, str]:
    """Return prediction, low and high (n, 1) in the target's unit; without an interval low and high are empty.

    Raises:
        UsageError: the examples need an encoder of the project.
    """
    encoder = Windows.from_json(parts.encoder)
    for codec in (codec for columns in encoder.columns for codec in columns.codecs):
        if isinstance(codec, CustomCodec):
            raise custom_refusal(codec, "ONNX")
    X = graph.matrix(EXAMPLES, len(encoder.names))
    level, scale = (graph.read(name, text=False) for name in (LEVEL, SCALE))
    scaled = write_model(graph, parts.model, X)
    values, interval = [scaled], parts.decision.interval
    if isinstance(interval, StepInterval):
        spread = _spread(graph, X, interval)
        step = graph.op("Gather", X, np.array([0]), axis=1)
        last = float(len(interval.low) - 1)
        index = graph.integer(graph.op("Clip", graph.op("Sub", step, 1.0), 0.0, last))
        for factors in (interval.low, interval.high):
            factor = graph.op("Gather", np.asarray(factors, dtype=np.float64), index)
            values.append(graph.op("Add", scaled, graph.op("Mul", factor, spread)))
    outputs = [graph.op("Add", level, graph.op("Mul", scale, value)) for value in values]
    prediction, low, high = [*outputs, "", ""][:3]
    return prediction, low, high


def _spread(graph: Graph, X: str, interval: StepInterval) -> str:
    """Return the local spread of the series before each origin (n, 1)."""
    if not interval.columns:
        return graph.constant(float(interval.typical))
    deviations = graph.op("Gather", X, np.array(interval.columns), axis=1)
    filled = graph.op("Where", graph.op("IsNaN", deviations), 0.0, deviations)
    mean = graph.op("ReduceMean", filled, np.array([1]), keepdims=1)
    return graph.op("Add", mean, float(interval.typical))


def describe_examples(parts: ModelParts) -> dict[str, str]:
    """Return metadata of the graph: the names of the columns of the input `examples`, in order, as JSON."""
    return {"mlnb.examples": json.dumps(Windows.from_json(parts.encoder).names, ensure_ascii=False)}


def to_examples(rows: Sequence[Row], parts: ModelParts) -> dict[str, np.ndarray]:
    """Return the graph's inputs for a request's history: one example for each step of each series, by key and time."""
    encoder = Windows.from_json(parts.encoder)
    histories = read_histories(rows, request_schema(parts.schema, parts.contract), encoder)
    fan = encoder.transform(histories, [np.array([history.length]) for history in histories])
    return {EXAMPLES: fan.X, LEVEL: fan.level[:, None], SCALE: fan.scale[:, None]}
