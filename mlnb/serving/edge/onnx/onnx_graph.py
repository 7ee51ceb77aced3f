"""An ONNX graph while it is built: every value has a name, every method adds an operator."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlnb.errors import MissingExtra

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise MissingExtra(f'{error}. Export to ONNX needs the edge set: pip install "mlnb[edge]"') from None

OPSET, ML_OPSET, IR = 21, 5, 10  # ai.onnx, ai.onnx.ml and the file format: what ONNX Runtime 1.23 reads
ML = "ai.onnx.ml"


Value = str | float | np.ndarray | Sequence[float]  # the name of a value, or a constant


class Graph:
    """The parts of a graph. Methods add an operator and return the name of its value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def read(self, name: str, text: bool) -> str:
        """Add an input of shape (n, 1): text, or 64-bit numbers."""
        kind = TensorProto.STRING if text else TensorProto.DOUBLE
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["rows", 1]))
        return name

    def matrix(self, name: str, columns: int) -> str:
        """Add an input of 64-bit numbers of shape (n, columns)."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", columns]))
        return name

    def add_output(self, name: str, value: str, kind: int, shape: list[str | int]) -> None:
        """Make a value an output of that name."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, value: Value) -> str:
        """Return a constant: text, integers, or other numbers as float64."""
        array = np.asarray(value)
        if array.dtype.kind not in "iU":
            array = array.astype(np.float64)
        name = f"c{len(self.constants)}"
        if array.dtype.kind == "U":
            texts = [text.encode() for text in array.ravel().tolist()]
            tensor = helper.make_tensor(name, TensorProto.STRING, array.shape, texts)
        else:
            tensor = numpy_helper.from_array(array.astype(array.dtype.newbyteorder("=")), name)
        self.constants.append(tensor)
        return name

    def op(self, kind: str, *values: Value, domain: str = "", **attributes: Any) -> str:
        """Return the value of a new operator; numbers among `values` become constants."""
        names = [value if isinstance(value, str) else self.constant(value) for value in values]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], domain=domain, **attributes))
        return name

    def smallest(self, values: str, count: int) -> tuple[str, str]:
        """Return the smallest numbers of each row (n, count) in ascending order, and their indices."""
        names = [f"v{len(self.nodes)}", f"v{len(self.nodes)}_indices"]
        self.nodes.append(helper.make_node("TopK", [values, self.constant(np.array([count]))], names, largest=0))
        return names[0], names[1]

    def double(self, value: str) -> str:
        """Return a value as 64-bit numbers."""
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def integer(self, value: str) -> str:
        """Return a value as 64-bit integers."""
        return self.op("Cast", value, to=TensorProto.INT64)

    def tensors(self, values: dict[str, list[float]], nodes: int, mode: int) -> dict[str, onnx.TensorProto]:
        """Return lists of numbers as the tensors of a tree ensemble, and the mode of all nodes."""
        tensors = {name: numpy_helper.from_array(np.array(items, dtype=np.float64)) for name, items in values.items()}
        return tensors | {"nodes_modes": numpy_helper.from_array(np.full(nodes, mode, dtype=np.uint8))}

    def floor_divide(self, value: str, by: float) -> str:
        """Return a quotient rounded down."""
        return self.op("Floor", self.op("Div", value, by))

    def modulo(self, value: str, by: float) -> str:
        """Return the remainder of a division by `by`, which is never negative."""
        return self.op("Sub", value, self.op("Mul", self.floor_divide(value, by), by))

    def interpolate(self, values: str, x: Sequence[float], y: Sequence[float]) -> str:
        """Return values (n, 1) interpolated linearly between knots, constant beyond them."""
        if len(x) == 1:
            return self.op("Add", self.op("Mul", values, 0.0), y[0])
        below = self.double(self.op("GreaterOrEqual", values, np.array([x], dtype=np.float64)))
        intervals = self.op("Sub", self.op("ReduceSum", below, np.array([1]), keepdims=1), 1.0)
        index = self.integer(self.op("Clip", intervals, 0.0, float(len(x) - 2)))
        after = self.op("Add", index, np.array(1))
        knots = [self.op("Gather", self.constant(line), where) for line in (x, y) for where in (index, after)]
        start, stop, low, high = knots
        share = self.op("Clip", self.op("Div", self.op("Sub", values, start), self.op("Sub", stop, start)), 0.0, 1.0)
        return self.op("Add", low, self.op("Mul", self.op("Sub", high, low), share))

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the checked model with its metadata."""
        graph = helper.make_graph(self.nodes, "mlnb", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="mlnb")
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model
