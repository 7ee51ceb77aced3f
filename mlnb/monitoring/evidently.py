"""The drift report of Evidently, in addition to that of mlnb; no decision depends on it."""

import warnings
from pathlib import Path
from typing import Any

from mlnb.errors import MissingExtra


def render(before: Any, after: Any, path: Path) -> Path:
    """Write Evidently's report on two tables (pandas) as HTML and return where. Raises `MissingExtra` without it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from evidently import Dataset, Report
            from evidently.presets import DataDriftPreset
    except ImportError as error:
        raise MissingExtra("Evidently is not installed: pip install 'mlnb[evidently]'.") from error
    columns = [name for name in before.columns if name in after.columns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = [Dataset.from_pandas(table[columns]) for table in (after, before)]
        Report([DataDriftPreset()]).run(*sides).save_html(str(path))
    return path
