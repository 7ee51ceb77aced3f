"""LLVM IR as text becomes functions that write to memory."""

import numpy as np
import pytest

from mlnb.serving.batch.compiled.llvm_functions import COUNT, POINTER, CompiledFunctions, can_compile

SQUARE = """
define void @square(ptr %value, i64 %power) {
  %x = load double, ptr %value
  %y = fmul double %x, %x
  store double %y, ptr %value
  ret void
}"""


def test_functions_write_to_memory():
    pytest.importorskip("llvmlite")
    assert can_compile()
    value = np.array([3.0])
    functions = CompiledFunctions(SQUARE, {"square": (POINTER, COUNT)})
    functions.call["square"](value.ctypes.data, 2)
    assert value.tolist() == [9.0]


def test_wrong_text_is_an_error():
    pytest.importorskip("llvmlite")
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        CompiledFunctions("define void @square( {", {})
