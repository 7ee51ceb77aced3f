"""A small model, its rows, and files of these rows in every format."""

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import orc
from small_models import make_model, make_rows

from mlnb.serving.batch.batch_job import JobOptions, run_job
from mlnb.serving.runtime.predictor import Predictor

ROWS = 3000


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder `model` of a bundle."""
    return make_model(tmp_path_factory.mktemp("batch") / "model", "lightgbm", "binary", "sigmoid", text=True)


@pytest.fixture(scope="session")
def rows():
    return make_rows(ROWS, seed=3)


@pytest.fixture(scope="session")
def expected(model, rows):
    """The service's probabilities."""
    return [answer["probabilities"]["yes"] for answer in Predictor.load(model).predict(rows)]


@pytest.fixture(scope="session")
def files(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    table = pd.DataFrame(rows).assign(number=range(ROWS))
    table.to_csv(folder / "rows.csv", index=False)
    table.to_csv(folder / "packed.csv.gz", index=False)
    table.to_csv(folder / "semicolons.csv", index=False, sep=";")
    dated = table.assign(day=pd.to_datetime(table["day"], format="ISO8601"))
    dated.to_parquet(folder / "rows.parquet", row_group_size=700)
    dated.to_feather(folder / "rows.feather")
    dated.to_excel(folder / "rows.xlsx", index=False)
    orc.write_table(pa.Table.from_pandas(dated), folder / "rows.orc")
    table.to_json(folder / "rows.jsonl", orient="records", lines=True)
    return folder


@pytest.fixture
def score(model, tmp_path):
    """Run a job with the small model."""

    def run(sources, output, **options):
        settings = {"ignore_unknown": True, "fill_missing": True, **options}
        return run_job(JobOptions([str(s) for s in sources], str(output), model, "small:1", **settings), tmp_path / "s")

    return run
