"""An ONNX graph as it is written: a name for every number, an operator a line."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlnb.errors import MissingExtra

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise MissingExtra(f'{error}. ONNX is written by the edge set: pip install "mlnb[edge]"') from None

OPSET, ML_OPSET, IR = 21, 5, 10  # ai.onnx, ai.onnx.ml and the file format: what ONNX Runtime 1.23 reads
ML = "ai.onnx.ml"


class Graph:
    """The parts of a graph; methods add an operator and return the name of what it gives."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def read(self, name: str, text: bool) -> str:
        """Add an input of shape (n, 1): text, or 64-bit numbers."""
        kind = TensorProto.STRING if text else TensorProto.DOUBLE
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["rows", 1]))
        return name

    def matrix(self, name: str, columns: int) -> str:
        """Add an input of 64-bit numbers of shape (n, columns)."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", columns]))
        return name

    def give(self, name: str, value: str, kind: int, shape: list[Any]) -> None:
        """Make a value an output of that name."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def number(self, value: Any) -> str:
        """Return a constant: numbers as float64 unless they are whole numbers of numpy's, or text."""
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

    def op(self, kind: str, *values: Any, domain: str = "", **attributes: Any) -> str:
        """Add an operator; numbers among `values` become constants."""
        names = [value if isinstance(value, str) else self.number(value) for value in values]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], domain=domain, **attributes))
        return name

    def smallest(self, values: str, count: int) -> tuple[str, str]:
        """Return the smallest numbers of each line (n, count), rising, and their places."""
        names = [f"v{len(self.nodes)}", f"v{len(self.nodes)}_places"]
        self.nodes.append(helper.make_node("TopK", [values, self.number(np.array([count]))], names, largest=0))
        return names[0], names[1]

    def double(self, value: str) -> str:
        """Return a value as 64-bit numbers."""
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def whole(self, value: str) -> str:
        """Return a value as 64-bit whole numbers."""
        return self.op("Cast", value, to=TensorProto.INT64)

    def tensors(self, values: dict[str, list[float]], nodes: int, mode: int) -> dict[str, Any]:
        """Return lists of numbers as the tensors that trees take, and the mode of all their nodes."""
        made = {name: numpy_helper.from_array(np.array(items, dtype=np.float64)) for name, items in values.items()}
        return made | {"nodes_modes": numpy_helper.from_array(np.full(nodes, mode, dtype=np.uint8))}

    def floor_divide(self, value: str, by: float) -> str:
        """Return the whole part of a quotient, towards minus infinity."""
        return self.op("Floor", self.op("Div", value, by))

    def modulo(self, value: str, by: float) -> str:
        """Return what a whole division by `by` leaves, never negative."""
        return self.op("Sub", value, self.op("Mul", self.floor_divide(value, by), by))

    def interpolate(self, values: str, x: Sequence[float], y: Sequence[float]) -> str:
        """Return (n, 1) heights on straight lines between knots, constant beyond them."""
        if len(x) == 1:
            return self.op("Add", self.op("Mul", values, 0.0), y[0])
        below = self.double(self.op("GreaterOrEqual", values, np.array([x], dtype=np.float64)))
        places = self.op("Sub", self.op("ReduceSum", below, np.array([1]), keepdims=1), 1.0)
        place = self.whole(self.op("Clip", places, 0.0, float(len(x) - 2)))
        after = self.op("Add", place, np.array(1))
        knots = [self.op("Gather", self.number(line), where) for line in (x, y) for where in (place, after)]
        at, to, low, high = knots
        share = self.op("Clip", self.op("Div", self.op("Sub", values, at), self.op("Sub", to, at)), 0.0, 1.0)
        return self.op("Add", low, self.op("Mul", self.op("Sub", high, low), share))

    def model(self, facts: dict[str, str]) -> Any:
        """Return the checked model, with some facts about it."""
        graph = helper.make_graph(self.nodes, "mlnb", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="mlnb")
        helper.set_model_props(model, facts)
        onnx.checker.check_model(model, full_check=True)
        return model
