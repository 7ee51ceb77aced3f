"""Warnings about files, collected so that a page can show them."""

import threading
import warnings
from collections.abc import Callable
from typing import TypeVar

from mlnb.errors import FileWarning

T = TypeVar("T")
COLLECTING = threading.Lock()  # a page at a time: warnings are caught for the whole process


def collect_warnings(values: Callable[[], T]) -> tuple[T, list[str]]:
    """Return what a function returns, and each warning about a file that it gave, once."""
    with COLLECTING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FileWarning)
        result = values()
    return result, list(dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, FileWarning)))
