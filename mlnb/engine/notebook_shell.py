"""The IPython shell of the kernel that executes a stage notebook."""

from collections.abc import Callable
from typing import Any

from IPython.core.getipython import get_ipython


def has_variable(name: str, value: Any) -> bool:
    """Return whether a variable of the notebook has a value; true outside of IPython, where there is no notebook."""
    shell = get_ipython()
    return shell is None or (name in shell.user_ns and shell.user_ns[name] == value)


def show_variable(name: str) -> str:
    """Return the value of a variable of the notebook as text; "not set" when there is no such variable."""
    shell = get_ipython()
    return repr(shell.user_ns[name]) if shell is not None and name in shell.user_ns else "not set"


def on_cell_error(report: Callable[[BaseException], None]) -> None:
    """Call `report` with the exception whenever a cell raises.

    Jupyter's messages carry only the name of an exception's class, which a class of the user may share.
    """
    shell = get_ipython()
    if shell is None:
        return

    def after_cell(result: Any) -> None:
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            report(error)

    shell.events.register("post_run_cell", after_cell)
