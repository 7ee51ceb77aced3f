"""`--to onnx`: encoder, model and decision in one graph, verified on the golden rows."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto

from mlnb.errors import ServingError, UsageError
from mlnb.methods.contracts.decisions import ValueInterval
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.decisions import find_limit
from mlnb.methods.decisions.responders import STATES, respond_by_column
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.serving.edge.onnx.onnx_encoder import write_encoder
from mlnb.serving.edge.onnx.onnx_forecasts import describe_examples, to_examples, write_forecast
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_models import write_calibration, write_choice, write_model
from mlnb.serving.runtime.scored_service import find_queries
from mlnb.serving.runtime.service_parts import Parts, read_record

TOLERANCE = 1e-9  # of a probability, and of a value relative to its size
CLASSES, VALUES = ("prediction", "probabilities"), ("prediction", "low", "high")
OUTPUTS = {  # of each task: names that no column may have
    "binary": CLASSES,
    "multiclass": CLASSES,
    "regression": VALUES,
    "anomaly": ("prediction", "score"),
    "ranking": ("score",),
}
FORECASTING = "forecasting"  # its inputs are no columns


def export_onnx(folder: Path, file: Path) -> dict[str, Any]:
    """Return what was verified of the graph written to `file`.

    Raises `UsageError` for what ONNX has no form for, `ServingError` when a golden row comes out differently.
    """
    parts = Parts.load(folder)
    version = (folder / "version.txt").read_text("utf-8").strip()
    facts = {"mlnb.model": version, "mlnb.task": parts.contract.task}
    if parts.contract.task == FORECASTING:
        facts |= describe_examples(parts)
    model = make_graph(parts).model(facts)
    data = model.SerializeToString(deterministic=True)
    golden = read_record(Golden, folder / "golden.json")
    worst = verify(data, parts, golden.rows, golden.predictions)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return {"rows": len(golden.rows), "largest_difference": worst, "tolerance": TOLERANCE, "bytes": len(data)}


def make_graph(parts: Parts) -> Graph:
    """Return the graph of all that stands between a row and its answer."""
    contract, decision = parts.contract, parts.decision
    graph = Graph()
    if contract.task == FORECASTING:
        for name, value in zip(VALUES, write_forecast(graph, parts), strict=True):
            if value:
                graph.give(name, value, TensorProto.DOUBLE, ["rows", 1])
        return graph
    taken = {column.name for column in parts.schema.features} & {*OUTPUTS[contract.task]}
    if taken:
        raise UsageError(f"Column {taken.pop()!r} has the name of an output; rename it to export the model.")
    X = write_encoder(graph, Encoder.from_json(parts.encoder), parts.schema)
    final = write_model(graph, parts.model, X)
    if contract.classes:
        classes = list(contract.classes)
        final = write_calibration(graph, final, decision.calibration)
        graph.give("prediction", write_choice(graph, final, decision, classes), TensorProto.STRING, ["rows"])
        graph.give("probabilities", final, TensorProto.DOUBLE, ["rows", len(classes)])
        return graph
    if contract.task in ("anomaly", "ranking"):
        graph.give("score", final, TensorProto.DOUBLE, ["rows", 1])
        if contract.task == "anomaly":
            strange = graph.whole(graph.op("GreaterOrEqual", final, find_limit(contract, decision)))
            said = graph.op("Gather", graph.number(np.array(STATES)), graph.op("Reshape", strange, np.array([-1])))
            graph.give("prediction", said, TensorProto.STRING, ["rows"])
        return graph
    graph.give("prediction", final, TensorProto.DOUBLE, ["rows", 1])
    interval = decision.interval
    if isinstance(interval, ValueInterval):
        scale = graph.interpolate(final, interval.x, interval.scale)
        for name, multiple in (("low", interval.low), ("high", interval.high)):
            end = graph.op("Add", final, graph.op("Mul", scale, float(multiple)))
            graph.give(name, end, TensorProto.DOUBLE, ["rows", 1])
    return graph


def verify(data: bytes, parts: Parts, rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> float:
    """Return the largest difference between the graph's answers, by ONNX Runtime, and the notebook's.

    Raises `ServingError` naming the first row whose class differs, or whose numbers differ by more than TOLERANCE.
    """
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    ahead = parts.contract.task == FORECASTING
    inputs = to_examples(rows, parts) if ahead else to_inputs(rows, parts.schema)
    said, count = dict(zip(names, session.run(None, inputs), strict=True)), len(expected)
    alone = [session.run(None, {name: value[i : i + 1] for name, value in inputs.items()}) for i in range(count)]
    worst = 0.0
    for number, answer in enumerate(expected):
        together = {name: values[number] for name, values in said.items()}
        for found in (together, {name: values[0] for name, values in zip(names, alone[number], strict=True)}):
            worst = max(worst, _difference(number, found, answer, parts.contract))
    if parts.contract.task == "ranking":
        _check_ranks(said["score"][:, 0], rows, expected, parts.contract)
    return worst


def to_inputs(rows: list[dict[str, Any]], schema: Schema) -> dict[str, np.ndarray]:
    """Return the graph's inputs (n, 1): text, empty where missing; numbers, NaN where missing; dates in seconds."""
    inputs = {}
    for name, values in to_arrays(rows, schema).items():
        if values.dtype == object:
            values = np.array(["" if value is None else value for value in values.tolist()], dtype=object)
        inputs[name] = values[:, None]
    return inputs


def _difference(row: int, found: Mapping[str, Any], expected: Mapping[str, Any], contract: ProblemContract) -> float:
    if contract.task in ("binary", "multiclass", "anomaly") and str(found["prediction"]) != expected["prediction"]:
        raise ServingError(f"Row {row}: ONNX says {found['prediction']!r}, the notebook {expected['prediction']!r}.")
    if "score" in found:
        pairs = [(float(found["score"][0]), expected["score"])]
    elif "probabilities" in found:
        pairs = list(zip(found["probabilities"].tolist(), expected["probabilities"].values(), strict=True))
    else:
        pairs = [(float(found["prediction"][0]), expected["prediction"])]
        pairs += [(float(found[name][0]), value) for name, value in expected.get("interval", {}).items()]
    worst: float = max(abs(one - other) / max(1.0, abs(other)) for one, other in pairs)
    if not worst <= TOLERANCE or any(math.isnan(one) for one, _ in pairs):
        raise ServingError(f"Row {row}: ONNX differs from the notebook by {worst:.3g}, expected at most {TOLERANCE}.")
    return worst


def _check_ranks(
    scores: np.ndarray, rows: list[dict[str, Any]], expected: list[dict[str, Any]], contract: ProblemContract
) -> None:
    """Raise `ServingError` for the first row whose place among its query's scores is not the notebook's."""
    groups = find_queries([row.get(str(contract.query)) for row in rows])
    ranks = respond_by_column(scores, contract, groups=groups).ranks
    for number, (rank, response) in enumerate(zip([] if ranks is None else ranks.tolist(), expected, strict=True)):
        if rank != response["rank"]:
            raise ServingError(f"Row {number}: ONNX's scores rank it {rank}, the notebook {response['rank']}.")
