"""`mlnb export --to onnx`: encoder, model and decision in one graph, verified on the golden rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto

from mlnb.codec import Json
from mlnb.errors import ServingError, UsageError
from mlnb.methods.contracts.decisions import ValueInterval
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.decision_rules import find_limit
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.methods.tasks.responders import STATES, respond_by_column
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.edge.exports import ExportResult, refuse_groups
from mlnb.serving.edge.onnx.onnx_encoder import write_encoder
from mlnb.serving.edge.onnx.onnx_forecasts import describe_examples, to_examples, write_forecast
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_models import write_calibration, write_choice, write_model
from mlnb.serving.runtime.model_parts import ModelParts, Row, read_record
from mlnb.serving.runtime.scored_handlers import number_queries

TOLERANCE = 1e-9  # of a probability, and of a value relative to its size
VALUE_OUTPUTS = ("prediction", "low", "high")
OUTPUTS = {  # names that no column may have, by the form of the responses
    "class": ("prediction", "probabilities"),
    "value": VALUE_OUTPUTS,
    "alert": ("prediction", "score"),
    "rank": ("score",),
}


def export_onnx(folder: Path, file: Path) -> ExportResult:
    """Write and verify the graph of a model.

    Args:
        folder: a bundle's folder `model`.
        file: where the graph goes; it is written only when it is verified.

    Returns:
        How the graph compares with the notebook.

    Raises:
        UsageError: the model or a column has no ONNX form.
        ServingError: a golden row gets another prediction.
    """
    parts = ModelParts.load(folder)
    version = (folder / "version.txt").read_text("utf-8").strip()
    metadata = {"mlnb.model": version, "mlnb.task": str(parts.contract.task)}
    if traits_of(parts.contract.task).unit == "history":
        metadata |= describe_examples(parts)
    data = make_graph(parts).model(metadata).SerializeToString(deterministic=True)
    golden = read_record(Golden, folder / "golden.json")
    largest = verify_graph(data, parts, golden.rows, golden.predictions)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return ExportResult(len(golden.rows), largest, TOLERANCE, len(data))


def make_graph(parts: ModelParts) -> Graph:
    """Return the graph from a row to its prediction. Raises `UsageError` for what has no ONNX form."""
    refuse_groups(parts.decision, "ONNX")
    contract, graph = parts.contract, Graph()
    response = traits_of(contract.task).response
    if response == "steps":
        for name, value in zip(VALUE_OUTPUTS, write_forecast(graph, parts), strict=True):
            if value:
                graph.add_output(name, value, TensorProto.DOUBLE, ["rows", 1])
        return graph
    reserved = {column.name for column in parts.schema.features} & {*OUTPUTS[response]}
    if reserved:
        raise UsageError(f"Column {reserved.pop()!r} has the name of an output; rename it to export the model.")
    X = write_encoder(graph, Encoder.from_json(parts.encoder), parts.schema)
    final = write_model(graph, parts.model, X)
    if contract.classes:
        _add_classes(graph, final, parts, list(contract.classes))
    elif response in ("alert", "rank"):
        graph.add_output("score", final, TensorProto.DOUBLE, ["rows", 1])
        if response == "alert":
            anomalous = graph.integer(graph.op("GreaterOrEqual", final, find_limit(contract, parts.decision)))
            states = graph.constant(np.array(STATES))
            prediction = graph.op("Gather", states, graph.op("Reshape", anomalous, np.array([-1])))
            graph.add_output("prediction", prediction, TensorProto.STRING, ["rows"])
    else:
        _add_values(graph, final, parts)
    return graph


def _add_classes(graph: Graph, final: str, parts: ModelParts, classes: list[str]) -> None:
    final = write_calibration(graph, final, parts.decision.calibration)
    prediction = write_choice(graph, final, parts.decision, classes)
    graph.add_output("prediction", prediction, TensorProto.STRING, ["rows"])
    graph.add_output("probabilities", final, TensorProto.DOUBLE, ["rows", len(classes)])


def _add_values(graph: Graph, final: str, parts: ModelParts) -> None:
    graph.add_output("prediction", final, TensorProto.DOUBLE, ["rows", 1])
    interval = parts.decision.interval
    if isinstance(interval, ValueInterval):
        scale = graph.interpolate(final, interval.x, interval.scale)
        for name, factor in (("low", interval.low), ("high", interval.high)):
            bound = graph.op("Add", final, graph.op("Mul", scale, float(factor)))
            graph.add_output(name, bound, TensorProto.DOUBLE, ["rows", 1])


def verify_graph(data: bytes, parts: ModelParts, rows: Sequence[Row], expected: Sequence[Row]) -> float:
    """Return the largest difference between the graph's predictions, by ONNX Runtime, and the notebook's.

    Args:
        data: the serialized graph.
        parts: the model that was exported.
        rows: golden rows, which the graph scores together and one by one.
        expected: the notebook's predictions for them.

    Raises:
        ServingError: the first row whose class differs, or whose numbers differ by more than `TOLERANCE`.
    """
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    forecasts = traits_of(parts.contract.task).unit == "history"
    inputs = to_examples(rows, parts) if forecasts else to_inputs(rows, parts.schema)
    together = dict(zip(names, session.run(None, inputs), strict=True))
    largest = 0.0
    for number, response in enumerate(expected):
        alone = session.run(None, {name: value[number : number + 1] for name, value in inputs.items()})
        of_row = {name: values[number] for name, values in together.items()}
        for outputs in (of_row, {name: values[0] for name, values in zip(names, alone, strict=True)}):
            largest = max(largest, _difference(number, outputs, response, parts.contract.classes or ()))
    if traits_of(parts.contract.task).unit == "query":
        _check_ranks(together["score"][:, 0], rows, expected, parts.contract)
    return largest


def to_inputs(rows: Sequence[Row], schema: Schema) -> dict[str, np.ndarray]:
    """Return the graph's inputs (n, 1): text, empty where missing; numbers, NaN where missing; dates in seconds."""
    inputs = {}
    for name, values in to_arrays(rows, schema).items():
        if values.dtype == object:
            values = np.array(["" if value is None else value for value in values.tolist()], dtype=object)
        inputs[name] = values[:, None]
    return inputs


def _difference(row: int, outputs: Mapping[str, np.ndarray], expected: Row, classes: Sequence[str]) -> float:
    """Return the largest difference of one row's numbers. Raises `ServingError` for too large a one.

    Args:
        row: number of the row.
        outputs: of the graph for the row, probabilities in the order of the classes.
        expected: the notebook's prediction, whose probabilities may be in any order.
        classes: of the model; empty: it has none.
    """
    if "prediction" in outputs and isinstance(expected["prediction"], str):
        prediction = str(outputs["prediction"])
        if prediction != expected["prediction"]:
            raise ServingError(f"Row {row}: found {prediction!r} from ONNX, expected {expected['prediction']!r}.")
    name = next(name for name in ("score", "probabilities", "prediction") if name in outputs)
    values = [float(value) for value in outputs[name]]
    interval = expected.get("interval")
    if isinstance(interval, Mapping):
        values += [float(outputs[bound][0]) for bound in interval]
    stated = expected[name]
    if isinstance(stated, Mapping):
        stated = {each: stated[each] for each in classes}
    pairs = list(zip(values, [*_numbers(stated), *_numbers(interval)], strict=True))
    largest: float = max(abs(one - other) / max(1.0, abs(other)) for one, other in pairs)
    if not largest <= TOLERANCE or any(math.isnan(one) for one, _ in pairs):
        raise ServingError(f"Row {row}: ONNX differs from the notebook by {largest:.3g}, expected at most {TOLERANCE}.")
    return largest


def _numbers(value: Json) -> Iterator[float]:
    """Yield the number, or those of an object, in order."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _check_ranks(scores: np.ndarray, rows: Sequence[Row], expected: Sequence[Row], contract: ProblemContract) -> None:
    """Raise `ServingError` for the first row whose rank within its query is not the notebook's."""
    groups = number_queries([row.get(contract.query or "") for row in rows])
    ranks = respond_by_column(scores, contract, groups=groups).ranks
    for number, (rank, response) in enumerate(zip([] if ranks is None else ranks.tolist(), expected, strict=True)):
        if rank != response["rank"]:
            raise ServingError(f"Row {number}: found rank {rank} from ONNX, expected {response['rank']}.")
