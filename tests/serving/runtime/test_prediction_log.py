"""The prediction log: the segments that a service writes, after a kill too, and the table read from them."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import ClassVar

import attacked_endpoint
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from waiting import wait_for

from mlnb.engine.project import Project
from mlnb.errors import DamagedFileWarning, SettingsError
from mlnb.methods.contracts.responses import RowProblem
from mlnb.monitoring.monitoring_paths import log_environment
from mlnb.monitoring.prediction_table import convert_finished, mirror, read_log
from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.log_policy import LogPolicy
from mlnb.serving.runtime.log_segments import (
    ORIGIN,
    LogRecord,
    chain_path,
    convert_and_ship,
    convert_segment,
    parse_entry,
    read_lines,
    to_table,
)
from mlnb.serving.runtime.prediction_log import PredictionLog, convert_in_process
from mlnb.settings import ServiceSettings

ROW = {"age": 41, "plan": "basic", "vip": True, "note": None}
RESPONSE = {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}


def problem(row, column):
    return RowProblem(row=row, column=column, found="'x'", expected="a number")


def test_from_the_service_to_a_table(tmp_path):
    log = PredictionLog(tmp_path, convert=convert_segment, clock=lambda: 1000.0)
    log.record("r1", "v1", [ROW, {**ROW, "age": 7.5}], [RESPONSE, RESPONSE], 0.002)
    log.record("r2", "v2", [ROW], [RESPONSE], 0.001)
    log.close()
    assert (log.recorded, log.dropped, log.failure) == (3, 0, "")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".chain", ".parquet"]
    table, damaged = read_log(tmp_path)
    assert damaged == 0 and table["in.age"].tolist() == [41.0, 7.5, 41.0]
    assert table["request"].tolist() == ["r1", "r1", "r2"] and table["row"].tolist() == [0, 1, 0]
    assert table["out.probabilities.yes"].tolist() == [0.75] * 3 and table["in.vip"].tolist() == [True] * 3
    assert table["model"].tolist() == ["v1", "v1", "v2"] and table["milliseconds"].tolist() == [2.0, 2.0, 1.0]
    assert len(read_log(tmp_path, since=1000.5)[0]) == 0 == len(read_log(tmp_path, until=1000.0)[0])


def test_duckdb_reads_it_across_versions_with_other_columns(tmp_path):
    import duckdb

    for version, row in (("v1", {"age": 41}), ("v2", {"age": "unknown", "city": "Bern"})):
        log = PredictionLog(tmp_path / version, convert=convert_segment)
        log.record("r", version, [row], [RESPONSE], 0.001)
        log.close()
    query = f"SELECT model, \"in.city\" FROM read_parquet('{tmp_path}/*/*.parquet', union_by_name=true) ORDER BY model"
    assert duckdb.sql(query).fetchall() == [("v1", None), ("v2", "Bern")]


def test_an_open_segment_is_read(tmp_path):
    log = PredictionLog(tmp_path)
    log.record("r1", "v1", [ROW], [RESPONSE], 0.002)
    wait_for(lambda: log.recorded == 1, 10, "a recorded row")
    (path,) = tmp_path.glob("*.jsonl")
    assert len(read_log(tmp_path)[0]) == 1 and convert_finished(tmp_path) == []  # this process is alive
    assert path.stat().st_mode & 0o777 == 0o600
    log.close()


def test_segments_end_by_rows(tmp_path):
    log = PredictionLog(tmp_path, LogPolicy(rows=2), convert_segment)
    for number in range(3):
        log.record(f"r{number}", "v", [ROW, ROW], [RESPONSE, RESPONSE], 0.001)
        wait_for(lambda number=number: log.recorded == 2 * number + 2, 10, "recorded rows")
    log.close()
    assert len(list(tmp_path.glob("*.parquet"))) >= 2 and len(read_log(tmp_path)[0]) == 6


def test_a_full_queue_drops_and_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("mlnb.serving.runtime.prediction_log.FLUSH", 60)
    counts = []
    log = PredictionLog(tmp_path, LogPolicy(limit=2), count=lambda *count: counts.append(count))
    for number in range(5):
        log.record(f"r{number}", "v", [ROW], [RESPONSE], 0.001)
    assert log.dropped == 3
    log.close()
    assert log.recorded == 2 and counts == [("dropped", 1)] * 3 + [("recorded", 2)]


def test_a_full_queue_that_waits_loses_nothing(tmp_path):
    log = PredictionLog(tmp_path, LogPolicy(limit=2, when_full="wait"))
    for number in range(5):
        log.record(f"r{number}", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    assert (log.recorded, log.dropped) == (5, 0) and len(read_log(tmp_path)[0]) == 5


def test_a_disk_that_refuses_does_not_stop_the_service(tmp_path, monkeypatch):
    log = PredictionLog(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    log.record("r1", "v", [ROW], [RESPONSE], 0.001)
    wait_for(lambda: log.dropped == 1, 10, "a dropped row")
    assert "No space left" in log.failure
    monkeypatch.undo()
    log.record("r2", "v", [ROW], [RESPONSE], 0.001)
    wait_for(lambda: log.recorded == 1, 10, "a recorded row")
    log.close()


@pytest.mark.parametrize("change", ["deleted", "moved"])
def test_a_folder_that_is_gone_is_noticed_and_its_rows_count_as_dropped(tmp_path, change):
    folder = tmp_path / "log"
    counts = []
    log = PredictionLog(folder, count=lambda result, rows: counts.append((result, rows)))
    log.record("r1", "v", [ROW, ROW], [RESPONSE, RESPONSE], 0.001)
    wait_for(lambda: log.recorded == 2, 10, "a recorded row")
    shutil.rmtree(folder) if change == "deleted" else folder.rename(tmp_path / "elsewhere")
    wait_for(lambda: log.dropped == 2, 1, "the rows that are gone")
    wait_for(lambda: "was deleted or moved" in log.failure, 1, "the reason")
    log.record("r2", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    assert counts == [("recorded", 2), ("dropped", 2), ("recorded", 1)]
    assert [record.id for path in folder.glob("*.jsonl") for record in read_lines(path)[0]] == ["r2"]


def test_the_last_segment_is_converted_at_the_end(tmp_path):
    log = PredictionLog(tmp_path, convert=convert_in_process)
    log.record("r1", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".chain", ".parquet"]
    assert len(read_log(tmp_path)[0]) == 1


def test_a_log_that_waits_does_not_block_the_event_loop(material, tmp_path, monkeypatch):
    for name, value in {"MLNB_LOG": tmp_path / "log", "MLNB_LOG_WHEN_FULL": "wait", "MLNB_LOG_LIMIT": 4}.items():
        monkeypatch.setenv(name, str(value))
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (time.sleep(0.3), flush(handle)))
    endpoint = Endpoint(material("linear").bundle(tmp_path / "waiting").folder / "model")
    waited = []
    blocking = endpoint.log._add

    def add(*arguments):
        started = time.monotonic()
        blocking(*arguments)
        waited.append((time.monotonic() - started, threading.current_thread() is threading.main_thread()))

    monkeypatch.setattr(endpoint.log, "_add", add)
    bad = json.dumps([{**attacked_endpoint.GOOD, "age": "x"}]).encode()
    try:
        seen = attacked_endpoint.attack(endpoint, [attacked_endpoint.rows(3), attacked_endpoint.rows(2), bad] * 3)
    finally:
        endpoint.close()
    assert sorted(seen.statuses) == [200] * 6 + [422] * 3
    assert max(seconds for seconds, in_loop in waited if in_loop) < 0.05
    assert any(seconds > 0.05 for seconds, in_loop in waited if not in_loop)
    assert (endpoint.log.recorded, endpoint.log.dropped) == (18, 0)


def test_masked_columns_are_not_written(tmp_path):
    log = PredictionLog(tmp_path, LogPolicy(masked=frozenset({"plan", "note"})))
    log.record("r1", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    text = next(tmp_path.glob("*.jsonl")).read_text()
    assert "basic" not in text and '"plan":"masked"' in text and '"note":null' in text


def test_json_text_is_written_as_it_is_and_reads_the_same(tmp_path):
    body = "\ufeff" + json.dumps([ROW, {**ROW, "plan": "a\nb ü"}], indent=1)
    for name, masked in (("open", frozenset()), ("masked", frozenset({"plan"}))):
        for kind, rows, responses in (
            ("bytes", body.encode(), json.dumps([RESPONSE, RESPONSE]).encode()),
            ("lists", json.loads(body[1:]), [RESPONSE, RESPONSE]),
        ):
            log = PredictionLog(tmp_path / name / kind, LogPolicy(masked=masked), convert_segment, lambda: 1000.0)
            log.record('r "1"', "v", rows, responses, 0.002, count=2)
            log.close()
            assert log.recorded == 2
        one, other = (read_log(tmp_path / name / kind)[0] for kind in ("bytes", "lists"))
        assert one.equals(other) and len(one) == 2
        assert one["in.plan"].tolist() == (["masked"] * 2 if masked else ["basic", "a\nb ü"])


def test_text_that_is_valid_json_and_invalid_utf8_is_escaped(tmp_path):
    log = PredictionLog(tmp_path, convert=convert_segment)
    log.record("r1", "v", b'[{"plan": "half \\ud800"}]', b'[{"prediction": "yes"}]', 0.001, count=1)
    log.record_refusal("r2", "v", [problem(0, "\ud800")])
    log.close()
    assert log.failure == "" and read_log(tmp_path)[0]["in.plan"].tolist() == ["half \\ud800"]
    assert read_log(tmp_path, refusals=True)[0]["refused"].tolist() == ["\\ud800"]


def test_converting_a_segment_blocks_no_request(tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def slow(path):
        begun.set()
        assert go_on.wait(10)

    log = PredictionLog(tmp_path, LogPolicy(rows=1), slow)
    log.record("r1", "v", [ROW], [RESPONSE], 0.001)
    assert begun.wait(10)
    log.record("r2", "v", [ROW], [RESPONSE], 0.001)
    wait_for(lambda: log.recorded == 2, 10, "the second recorded row")
    go_on.set()
    log.close()


KILLED = """
import sys, time
from pathlib import Path
from mlnb.serving.runtime.prediction_log import PredictionLog
log = PredictionLog(Path(sys.argv[1]))
for number in range(10**9):
    log.record(f"r{number}", "v", [{"n": number}], [{"prediction": 1.0}], 0.001)
    if number % 50 == 0:
        print(number, time.monotonic(), flush=True)
    time.sleep(0.001)
"""


def test_a_kill_loses_at_most_the_last_second(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: any(path.stat().st_size > 20_000 for path in tmp_path.glob("*.jsonl")), 30, "20 kB of log")
    printed = [process.stdout.readline().split()]
    while float(printed[-1][1]) < float(printed[0][1]) + 1.7:
        printed.append(process.stdout.readline().split())
    at = time.monotonic()
    process.send_signal(signal.SIGKILL)
    printed += [line.split() for line in process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"id": "torn", "ti')
    records, damaged = read_lines(path)
    assert damaged == 1 and [record.id for record in records] == [f"r{n}" for n in range(len(records))]  # without a gap
    old = [int(number) for number, moment in printed if float(moment) < at - 1.0]
    assert old and len(records) > max(old)
    (converted,) = convert_finished(tmp_path)
    assert converted.suffix == ".parquet" and not path.exists() and len(read_log(tmp_path)[0]) == len(records)


def test_a_clock_that_goes_back_loses_nothing(tmp_path):
    moments = iter([2000.0, 2000.0, 1000.0, 1000.0, *[1000.0] * 100])
    log = PredictionLog(tmp_path, convert=convert_segment, clock=lambda: next(moments, 1000.0))
    for number in range(4):
        log.record(f"r{number}", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    assert sorted(read_log(tmp_path)[0]["request"]) == ["r0", "r1", "r2", "r3"]


def test_columns_of_mixed_kinds_become_text_and_damage_is_counted(tmp_path):
    log = PredictionLog(tmp_path, convert=convert_segment)
    log.record("r1", "v", [{"a": 1, "b": 10**400}], [RESPONSE], 0.001)
    log.record("r2", "v", [{"a": "x", "b": 2}], [RESPONSE], 0.001)
    log.close()
    (tmp_path / "20260101T000000-1-1.parquet").write_bytes(b"PAR1 cut off")
    with pytest.warns(DamagedFileWarning, match="20260101T000000-1-1.parquet"):
        table, damaged = read_log(tmp_path)
    assert damaged == 1 and table["in.a"].tolist() == ["1", "x"] and table["in.b"].tolist()[1] == "2"
    assert read_log(tmp_path / "nothing")[0].empty
    assert to_table([LogRecord(id="r", time=1.0, model="v", ms=1.0, rows=[], responses=[])]).num_rows == 0


def test_a_simulation_states_the_time_of_a_request(tmp_path):
    for stated, moment in ((True, 86_400.5), (False, 7.0)):
        log = PredictionLog(tmp_path / str(stated), LogPolicy(event_time=stated), clock=lambda: 7.0)
        log.record("r1", "v", [ROW], [RESPONSE], 0.001, b"86400.5")
        log.record("r2", "v", [ROW], [RESPONSE], 0.001, b"yesterday")
        log.close()
        assert sorted(read_log(tmp_path / str(stated))[0]["time"]) == sorted([moment, 7.0])


def test_refused_requests_are_logged_with_their_columns(tmp_path):
    log = PredictionLog(tmp_path, convert=convert_segment)
    log.record("r1", "v", [ROW], [RESPONSE], 0.001)
    log.record_refusal("r2", "v", [problem(0, "age"), problem(1, None), problem(2, "age")])
    log.close()
    assert read_log(tmp_path)[0]["request"].tolist() == ["r1"]
    refused, _ = read_log(tmp_path, refusals=True)
    assert refused["request"].tolist() == ["r2"] and refused["refused"].tolist() == ["age"]


def test_policies_come_from_the_settings():
    environment = {"MLNB_LOG_LIMIT": "10", "MLNB_LOG_WHEN_FULL": "wait", "MLNB_LOG_MASK": "name, email"}
    policy = LogPolicy.from_settings(ServiceSettings(environment=environment))
    assert (policy.limit, policy.when_full, policy.masked) == (10, "wait", {"name", "email"})
    for wrong in ({"MLNB_LOG_WHEN_FULL": "crash"}, {"MLNB_LOG_SECONDS": "0"}, {"MLNB_LOG_ROWS": "many"}):
        with pytest.raises(SettingsError, match="expected"):
            ServiceSettings(environment=wrong)


def test_segments_go_to_object_storage_and_come_back(tmp_path):
    url = f"file://{tmp_path}/bucket/churn"
    environment = {"MLNB_LOG": str(tmp_path / "here"), "MLNB_LOG_TO": url}
    for number in range(2):
        log = PredictionLog.from_settings(ServiceSettings(environment=environment))
        log.record(f"r{number}", "v", [ROW], [RESPONSE], 0.001)
        log.close()
        assert log.failure == ""
    assert len(list((tmp_path / "bucket" / "churn").glob("*.parquet"))) == 2
    there = tmp_path / "elsewhere"
    assert (mirror(url, there), mirror(url, there)) == (2, 0)
    assert sorted(read_log(there)[0]["request"]) == ["r0", "r1"]
    assert mirror(f"file://{tmp_path}/nothing", there) == 0


def test_an_object_store_takes_segments_and_duckdb_reads_them_there(tmp_path):
    import duckdb

    url, storage = "memory://bucket/churn", fsspec.filesystem("memory")
    for number in range(3):
        log = PredictionLog(tmp_path / "here", convert=lambda path: convert_and_ship(path, url))
        log.record(f"r{number}", "v", [ROW], [RESPONSE], 0.001)
        log.close()
    before = {name: storage.info(name)["created"] for name in storage.glob("/bucket/churn/*")}
    # whole files and the chain of the process alone, and no marks
    assert sorted(name.rpartition(".")[2] for name in before) == ["chain", "parquet", "parquet", "parquet"]
    (tmp_path / "here" / "20260101T000000-1-1.jsonl").write_text("")
    convert_and_ship(tmp_path / "here" / "20260101T000000-1-1.jsonl", url)
    assert {name: storage.info(name)["created"] for name in storage.glob("/bucket/churn/*")} == before  # each once
    duckdb.register_filesystem(storage)
    try:
        requests = duckdb.sql(f"SELECT request FROM read_parquet('{url}/*.parquet') ORDER BY 1").fetchall()
    finally:
        duckdb.unregister_filesystem("memory")
    assert requests == [("r0",), ("r1",), ("r2",)]
    assert mirror(url, tmp_path / "there") == 3 and len(read_log(tmp_path / "there")[0]) == 3
    (chain,) = (tmp_path / "there").glob("*.chain")
    assert len(chain.read_bytes().splitlines()) == 3
    chain.write_bytes(chain.read_bytes().splitlines(keepends=True)[0])  # as it was at an earlier time
    assert mirror(url, tmp_path / "there") == 0 and len(chain.read_bytes().splitlines()) == 3
    storage.rm("/bucket", recursive=True)


class Caching(MemoryFileSystem):
    """An object store whose client caches listings, as those of S3 do."""

    protocol = "caching"
    listed: ClassVar[dict] = {}

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.replace("caching:", "memory:"))

    def glob(self, path, maxdepth=None, **more):
        return self.listed.setdefault(path, super().glob(path, maxdepth, **more))

    def invalidate_cache(self, path=None):
        self.listed.clear()


def test_segments_since_the_last_listing_are_fetched(tmp_path):
    fsspec.register_implementation("caching", Caching, clobber=True)
    url, theirs = "caching://bucket/prices", "memory://bucket/prices"  # the service is another process
    for number in range(2):
        log = PredictionLog(tmp_path / "here", convert=lambda path: convert_and_ship(path, theirs))
        log.record(f"r{number}", "v", [ROW], [RESPONSE], 0.001)
        log.close()
        assert mirror(url, tmp_path / "there") == 1 and len(read_log(tmp_path / "there")[0]) == number + 1
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_a_project_configures_its_log_and_what_is_masked(tmp_path, monkeypatch):
    monkeypatch.setenv("BUCKET", str(tmp_path / "bucket"))
    (tmp_path / "settings.ini").write_text(
        "[mlnb]\nstore = .mlnb\npredictions = file://${BUCKET}\npredictions_masked = plan, note\n"
    )
    monkeypatch.delenv("MLNB_ROOT", raising=False)
    environment = log_environment(Project.find(tmp_path), "churn")
    log = PredictionLog.from_settings(ServiceSettings(environment=environment))
    log.record("r0", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    assert log.failure == "" and log.policy.masked == {"plan", "note"}
    (path,) = (tmp_path / "bucket" / "churn").glob("*.parquet")
    assert path.parent.name == "churn" and b"basic" not in path.read_bytes()
    assert read_log(tmp_path / ".mlnb" / "predictions" / "churn")[0]["in.plan"].tolist() == ["masked"]


def test_a_storage_that_refuses_loses_nothing(tmp_path):
    (tmp_path / "file").write_text("no folder")
    environment = {"MLNB_LOG": str(tmp_path / "here"), "MLNB_LOG_TO": f"file://{tmp_path}/file/churn"}
    log = PredictionLog.from_settings(ServiceSettings(environment=environment))
    log.record("r0", "v", [ROW], [RESPONSE], 0.001)
    log.close()
    assert log.recorded == 1 and "was not converted" in log.failure and len(read_log(tmp_path / "here")[0]) == 1
    assert PredictionLog.from_settings(ServiceSettings(environment={})) is None


def make_segment(folder, number, *requests):
    """Write a segment of JSON lines as a service does, and convert it."""
    path = folder / f"20260314T091500-17-ab-{number}.jsonl"
    shared = {"time": 1000.0, "model": "v", "ms": 1.0, "rows": [ROW], "responses": [RESPONSE]}
    path.write_text("".join(json.dumps({"id": request, **shared}) + "\n" for request in requests))
    return path


def test_a_chain_has_digest_and_rows_of_each_finished_segment(tmp_path):
    paths = [make_segment(tmp_path, number, *"abc"[:number]) for number in (1, 2)]
    first, second = map(convert_segment, paths)
    chain = chain_path(first)
    assert chain.name == "17-ab.chain" and chain.stat().st_mode & 0o777 == 0o600
    one, two = map(parse_entry, chain.read_bytes().splitlines(keepends=True))
    assert (one.segment, one.rows, one.previous) == (first.name, 1, ORIGIN)
    assert (two.segment, two.rows, two.previous) == (second.name, 2, one.own_digest)
    assert one.digest == hashlib.sha256(first.read_bytes()).hexdigest()
    for line in (b"{}", b"[]", b"x", one.line().replace(b" ", b""), one.line().replace(b": 1", b": true")):
        with pytest.raises(ValueError):
            parse_entry(line)


def test_a_segment_is_in_its_chain_once_wherever_its_conversion_was_killed(tmp_path):
    path = make_segment(tmp_path, 1, "a")
    lines = path.read_bytes()
    target = convert_segment(path)
    chain, before = chain_path(target), target.read_bytes()
    entry = chain.read_bytes()
    for remaining in (
        b"",
        entry[:20],
        entry,
    ):  # of the chain, when the process was killed before the lines were removed
        path.write_bytes(lines)
        chain.write_bytes(remaining)
        assert convert_segment(path) == target and not path.exists()
        assert chain.read_bytes() == entry and target.read_bytes() == before
    path.write_bytes(lines)
    target.write_bytes(b"cut")
    assert convert_segment(path) == target and target.read_bytes() == before and chain.read_bytes() == entry
    convert_segment(make_segment(tmp_path, 2, "b"))
    assert len(chain.read_bytes().splitlines()) == 2 and not list(tmp_path.glob("*.part"))
