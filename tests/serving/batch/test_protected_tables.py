"""Personal data in files to score: neither in the output, nor among the rows that are put aside."""

import pandas as pd
import pyarrow as pa
import pytest
from personal_models import KEY, SECRETS, make_personal_model, personal_rows

from mlnb.errors import SettingsError
from mlnb.methods.tables.pseudonyms import Protection, is_pseudonym
from mlnb.serving.batch.batch_job import JobOptions, run_job
from mlnb.serving.batch.protected_tables import protect_rows
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.settings import ProcessSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_personal_model(tmp_path_factory.mktemp("personal") / "model")


def test_output_and_refused_rows_hold_no_personal_data(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)
    table = pd.DataFrame(personal_rows(40)).astype({"age": object})
    table.loc[3, "age"] = "old"
    table.to_csv(tmp_path / "rows.csv", index=False)
    output, aside = tmp_path / "out.csv", tmp_path / "bad.jsonl"
    options = JobOptions(
        [str(tmp_path / "rows.csv")], str(output), folder, "v", ("mail", "born", "nick"), str(aside), 1
    )
    counts = run_job(options, tmp_path / "scratch", lambda *_: None)
    assert (counts.scored, counts.bad) == (39, 1)
    written = output.read_text() + aside.read_text()
    assert not any(secret in written for secret in SECRETS)
    written_rows = pd.read_csv(output)
    assert (
        written_rows["mail"].map(is_pseudonym).all()
        and written_rows["born"].isna().all()
        and set(written_rows["nick"]) == {"masked"}
    )


def test_a_key_is_needed_for_values_that_are_no_pseudonyms(folder, monkeypatch):
    monkeypatch.delenv("MLNB_PERSONAL_KEY", raising=False)
    protection = Protection.of(ModelParts.load(folder).schema, ProcessSettings().personal_key)
    table = pa.table({"mail": pa.array(["a", None, "a"]), "age": [1, 2, 3]})
    with pytest.raises(SettingsError, match="column 'mail', which is pseudonymized, needs a key"):
        protect_rows(table, protection)
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)
    protection = Protection.of(ModelParts.load(folder).schema, ProcessSettings().personal_key)
    protected = protect_rows(table, protection)
    assert protected.column("age") == table.column("age") and protected.column("mail").null_count == 1
    assert protect_rows(protected, protection).column("mail").to_pylist() == protected.column("mail").to_pylist()
