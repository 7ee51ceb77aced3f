"""A papermill engine on warm kernels, telling where it is, and keeping secrets out of what is written."""

from collections.abc import Callable, Mapping
from typing import Any

from mlnb.kernels.driver.snapshot_policy import Keeping, source_numbers
from mlnb.kernels.driver.warm_engine import WarmEngine

CellTold = Callable[[int, int, str], None]


class TellingEngine(WarmEngine):
    """The warm engine with additions that are set before a notebook is executed.

    `told` hears of each cell, `hidden` are the secrets; before the cell `wait_at` of the notebook's source, `wait` is
    called, which returns what is kept from there on.
    """

    told: CellTold = staticmethod(lambda cell, cells, heading: None)
    hidden: Mapping[str, str] = {}
    wait_at: int | None = None
    wait: Callable[[], Keeping | None] = staticmethod(lambda: None)

    @classmethod
    def clean(cls, outputs: Any) -> Any:
        """Return outputs without secrets."""
        return hidden(outputs, cls.hidden)

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *values: Any, **options: Any) -> Any:
        """Execute through papermill, with the notebook's cells watched and its outputs cleaned before each save."""
        headings, numbers = cell_headings(nb_man.nb), source_numbers(nb_man.nb.cells)
        begin, save = nb_man.cell_start, nb_man.save

        def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> None:
            if cell_index is not None and cell.cell_type == "code":
                if cls.wait_at is not None and numbers[cell_index] == cls.wait_at:
                    cls.keeping = cls.wait()
                cls.told(cell_index, len(nb_man.nb.cells), headings[cell_index])
            begin(cell, cell_index, **more)

        def clean_save(**more: Any) -> None:
            hide(nb_man.nb.cells, cls.hidden)
            save(**more)

        nb_man.cell_start, nb_man.save = cell_start, clean_save
        super().execute_managed_notebook(nb_man, kernel_name, *values, **options)
        hide(nb_man.nb.cells, cls.hidden)


def cell_headings(notebook: Any) -> list[str]:
    """Return for every cell the nearest markdown heading at or above it."""
    heading, found = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#"):
                    heading = line.lstrip("#").strip()
        found.append(heading)
    return found


def hide(cells: list[Any], secrets: Mapping[str, str]) -> None:
    """Replace every secret in the cells' outputs by its name, in place."""
    if secrets:
        for cell in cells:
            if cell.get("outputs"):
                cell["outputs"] = hidden(cell["outputs"], secrets)


def hidden(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return `value`, text or anything made of text, with every secret's value replaced by `${NAME}`."""
    if isinstance(value, str):
        for name, secret in secrets.items():
            if secret:
                value = value.replace(secret, f"${{{name}}}")
        return value
    if isinstance(value, dict):
        return type(value)({key: hidden(item, secrets) for key, item in value.items()})
    return [hidden(item, secrets) for item in value] if isinstance(value, list) else value
