"""Functions compiled from LLVM IR by llvmlite, where it is installed: pip install "mlnb[batch]"."""

import ctypes
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

POINTER, COUNT = ctypes.c_void_p, ctypes.c_int64  # argument types of compiled functions


class CompiledFunctions:
    """Functions without result, compiled for this processor.

    Args:
        text: a module of LLVM IR.
        functions: argument types of each function, by its name in the module.

    Raises:
        ImportError: llvmlite is not installed.
    """

    def __init__(self, text: str, functions: Mapping[str, tuple[type[Any], ...]]) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features().flatten()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=2)
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)  # owns the code
        self.engine.finalize_object()
        self.call: dict[str, Callable[..., None]] = {
            name: ctypes.CFUNCTYPE(None, *kinds)(self.engine.get_function_address(name))
            for name, kinds in functions.items()
        }


def can_compile() -> bool:
    """Return whether llvmlite is installed."""
    return importlib.util.find_spec("llvmlite") is not None
