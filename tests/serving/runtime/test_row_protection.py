"""Personal data in requests: in no log, response or error, and refused where it needs a key that is not there."""

import asyncio
import json

import numpy as np
import pytest
from personal_models import KEY, PERSONAL, SECRETS, make_personal_model, personal_rows

from mlnb.cli.serve import check_personal_key
from mlnb.errors import SettingsError
from mlnb.methods.tables.pseudonyms import is_pseudonym, key_check_value, pseudonym
from mlnb.monitoring.prediction_table import read_log
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.table_bodies import TableSlice
from mlnb.settings import ServiceSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_personal_model(tmp_path_factory.mktemp("personal") / "model")


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)


def post(endpoint, rows, *headers):
    """Return status and body of a request."""
    waiting, sent = [{"type": "http.request", "body": json.dumps(rows).encode(), "more_body": False}], []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": list(headers)}
    asyncio.run(endpoint(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode()


@pytest.mark.parametrize("count", [1, 200])
def test_no_log_holds_personal_data(folder, key, tmp_path, monkeypatch, count, caplog):
    monkeypatch.setenv("MLNB_LOG", str(tmp_path / "log"))
    endpoint = Endpoint(folder, ServiceSettings())
    status, text = post(endpoint, personal_rows(count))
    wrong = [{**row, "age": "old"} for row in personal_rows(1)]
    refused = post(endpoint, wrong)
    endpoint.close()
    assert status == 200 and len(json.loads(text)) == count and refused[0] == 422
    written = "".join(path.read_bytes().decode("utf-8", "replace") for path in (tmp_path / "log").iterdir())
    for secret in SECRETS:
        assert secret not in written + text + refused[1] + caplog.text
    log, _ = read_log(tmp_path / "log")
    assert len(log) == count and set(log["in.nick"]) == {"masked"} and log["in.born"].isna().all()
    assert set(log["in.mail"]) == {pseudonym(PERSONAL["mail"], KEY.encode())}


def test_a_service_without_the_key_refuses_what_it_cannot_pseudonymize(folder, monkeypatch):
    monkeypatch.delenv("MLNB_PERSONAL_KEY", raising=False)
    predictor = Predictor.load(folder)
    assert predictor.replay() is None, "golden rows need no key"
    rows = personal_rows(2)
    with pytest.raises(
        BadRows, match=r"column 'mail': found personal data, expected a pseudonym.*key of training.*MLNB_PERSONAL_KEY"
    ) as e:
        predictor.respond(rows)
    assert not any(secret in str(e.value) for secret in SECRETS)
    hashed = pseudonym(PERSONAL["mail"], KEY.encode())
    assert len(predictor.respond([{**row, "mail": hashed} for row in rows])) == 2
    assert len(predictor.respond([{**row, "mail": None} for row in rows])) == 2
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY[::-1])
    with pytest.raises(BadRows, match="lacks the key of training") as e:
        Predictor.load(folder).respond(rows)
    assert key_check_value(KEY.encode()) not in str(e.value), "clients could try keys against it"


def test_another_key_is_refused_before_anything_starts(folder, monkeypatch, caplog, capsys):
    """Without a key a service starts, as requests may hold pseudonyms."""
    bundle = Bundle(folder.parent, "n", "v", "m")
    for key in (KEY[::-1], "short"):
        monkeypatch.setenv("MLNB_PERSONAL_KEY", key)
        with pytest.raises(SettingsError, match="MLNB_PERSONAL_KEY"):
            Predictor.load(folder).protection.check_key()
        with pytest.raises(SettingsError, match="MLNB_PERSONAL_KEY"):
            check_personal_key(bundle)
    assert caplog.text == capsys.readouterr().err == ""
    monkeypatch.delenv("MLNB_PERSONAL_KEY")
    Predictor.load(folder).protection.check_key()
    check_personal_key(bundle)
    assert "no key for pseudonyms" in caplog.text
    assert "Set MLNB_PERSONAL_KEY to the key of training" in capsys.readouterr().err
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)
    Predictor.load(folder).protection.check_key()
    check_personal_key(bundle)
    assert capsys.readouterr().err == ""


def test_tables_are_protected_as_rows_are(folder, key):
    protection = Predictor.load(folder).protection
    codes = np.array([0, 1, 2], dtype=np.int32)
    table = TableSlice(
        3, {"age": np.ones(3), "born": np.array([1815.0, np.nan, 1791.0])}, {"mail": (["a", "b", None], codes)}
    )
    protected = protection.table(table)
    assert list(protected.numbers) == ["age"] and set(protected.coded) == {"mail", "born"}
    values, positions = protected.coded["mail"]
    assert [is_pseudonym(value) for value in values] == [True, True, False] and positions is codes
    assert protected.coded["born"][0] == [None] * 4
    plain = TableSlice(1, {"age": np.ones(1)}, {})
    assert protection.table(plain) is plain
