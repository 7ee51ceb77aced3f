"""A run as one page that can be sent on, and its executed notebooks as pages beside it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlnb.reports.run_report import write_report as write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> Any:
    """Import `write_report` when it is first asked for: commands that only want words for values stay quick."""
    if name == "write_report":
        from mlnb.reports.run_report import write_report

        return write_report
    raise AttributeError(f"module 'mlnb.reports' has no attribute {name!r}")
