"""Functions made of LLVM's assembly, by llvmlite, where it is installed: pip install "mlnb[batch]"."""

import ctypes
import importlib.util
from collections.abc import Mapping
from typing import Any

POINTER, COUNT = ctypes.c_void_p, ctypes.c_int64  # what functions take


class Machine:
    """Functions that return nothing, compiled for this processor."""

    def __init__(self, text: str, functions: Mapping[str, tuple[Any, ...]]) -> None:
        """Compile; ImportError without llvmlite."""
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features().flatten()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=2)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)  # owns the code
        self.engine.finalize_object()
        self.call: dict[str, Any] = {
            name: ctypes.CFUNCTYPE(None, *kinds)(self.engine.get_function_address(name))
            for name, kinds in functions.items()
        }


def can_compile() -> bool:
    """Whether llvmlite is installed."""
    return importlib.util.find_spec("llvmlite") is not None
