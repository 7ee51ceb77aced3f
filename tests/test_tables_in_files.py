"""A table that does not fit in memory gives the same artifacts, to the byte, as one in memory."""

from pathlib import Path

import numpy
import pandas
import pytest
from stage_cells import StageCells

from mlnb.array_files import ArrayFiles
from mlnb.engine import formats, stage
from mlnb.engine.run_records import Outputs
from mlnb.errors import DataError
from mlnb.methods.tables import data_sources, one_type, type_inference
from mlnb.methods.training_data import training_examples

ROWS = 800
SETTINGS = {"tune.families": ["lightgbm"], "split.folds": 2, "split.test_share": 0.2, "evaluate.plots": False}
SPLIT_BY_LENGTH = (formats, one_type, data_sources, type_inference, training_examples)  # modules


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two Parquet files with every kind of column, missing values and rows without a target."""
    random, folder = numpy.random.default_rng(0), tmp_path_factory.mktemp("rows")
    value, level = random.normal(size=ROWS).round(2), random.integers(0, 30, ROWS)
    table = pandas.DataFrame(
        {
            "value": numpy.where(random.random(ROWS) < 0.1, numpy.nan, value),
            "small": value.astype(numpy.float32) * 3,
            "count": random.integers(0, 9, ROWS),
            "flag": pandas.Series(random.random(ROWS) < 0.3).astype("boolean").mask(random.random(ROWS) < 0.1),
            "level": pandas.Series([f"é{n}" for n in level], dtype="str").mask(level == 3),
            "code": pandas.Categorical(level % 7 + 8000),
            "day": pandas.Timestamp("2024-01-01") + pandas.to_timedelta(random.integers(0, 900, ROWS), "D"),
        }
    )
    answer = numpy.where(value + 0.1 * level + random.logistic(size=ROWS) > 1.5, "yes", "no")
    table["answer"] = pandas.Series(answer, dtype="str").mask(random.random(ROWS) < 0.02)
    for number, start in enumerate((0, ROWS // 2)):
        table.iloc[start : start + ROWS // 2].to_parquet(folder / f"{number}.parquet", index=False)
    return folder


def run(folder: Path, source: Path, patch: pytest.MonkeyPatch, share: float, upto: str = "evaluate") -> Outputs:
    """Return the artifacts of a run in which every table and matrix is long."""
    for module in SPLIT_BY_LENGTH:
        patch.setattr(module, "LONG", 100)
    patch.setattr(stage, "MEMORY_SHARE", share)
    patch.setattr(stage, "LARGE", 0)
    folder.mkdir()
    parameters = {"problem.target": "answer", "ingest.data": str(source), **SETTINGS}
    return StageCells(folder).run(parameters, upto=upto).artifacts


def test_all_artifacts_are_equal_to_the_byte(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = run(tmp_path / "memory", source, monkeypatch, 1.0)
    mapped, keep = [], ArrayFiles.map_file
    monkeypatch.setattr(ArrayFiles, "map_file", lambda files, write: mapped.append(files.folder) or keep(files, write))
    in_files = run(tmp_path / "files", source, monkeypatch, 0.0)
    assert {folder.parent.name for folder in mapped} >= {"ingest", "validate", "split", "train", "evaluate"}
    different = [name for name, output in in_memory.items() if in_files[name].digest != output.digest]
    assert not different and len(in_files) == len(in_memory)


def test_a_table_without_enough_memory_is_refused_before_it_is_read(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "available_memory", lambda most: 100 << 20)
    with pytest.raises(DataError, match=r"800 rows and 8 columns need about 0\.4 GB of memory.*0\.1 GB are available"):
        run(tmp_path / "run", source, monkeypatch, 0.0, upto="ingest")
