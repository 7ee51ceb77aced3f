"""Files in an object store, read over HTTP from a server on this machine."""

import gzip
import io

import pandas as pd
import pytest
from s3_server import serve_buckets

from mlnb.methods.tables import remote_files
from mlnb.methods.tables.data_sources import read_table

s3fs = pytest.importorskip("s3fs")


@pytest.fixture
def shop(monkeypatch):
    s3fs.S3FileSystem.clear_instance_cache()
    buffer = io.BytesIO()
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_parquet(buffer)
    with serve_buckets(monkeypatch) as server:
        server.buckets["shop"] = {
            "x.csv": b"a;b\n1,5;2\n3,5;4\n", "z.csv.gz": gzip.compress(b"a,b\n1,2\n"), "p.parquet": buffer.getvalue(),
            "rows/month=1/p.csv": b"a;b\n1;x\n", "rows/month=2/p.csv": b"a;b\n2;y\n3;z\n", "rows/_SUCCESS": b"",
        }  # fmt: skip
        yield server
    s3fs.S3FileSystem.clear_instance_cache()


def test_files_folders_and_globs_are_tables(shop):
    assert read_table("s3://shop/x.csv")[0].to_dict("list") == {"a": ["1,5", "3,5"], "b": ["2", "4"]}
    assert read_table("s3://shop/z.csv.gz")[0].to_dict("list") == {"a": ["1"], "b": ["2"]}
    assert read_table("s3://shop/p.parquet")[0].to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    for source in ("s3://shop/rows", "s3://shop/rows/", "s3://shop/rows/*/*.csv"):
        table, provenance = read_table(source)
        assert table.to_dict("list") == {"a": ["1", "2", "3"], "b": ["x", "y", "z"], "month": ["1", "2", "2"]}
        assert provenance["files"] == 2 and provenance["source"] == source


def test_what_is_missing_or_refused_names_what_to_do(shop, monkeypatch):
    for source, kind, message in [
        ("s3://shop/y.csv", FileNotFoundError, "no file or folder 'y.csv' in 'shop'; did you mean 'x.csv'"),
        ("s3://shop/rows/*.xlsx", FileNotFoundError, "there is no file to read"),
        ("s3://ship/x.csv", FileNotFoundError, "there is no bucket 'ship'"),
        ("s3://ship/rows/", FileNotFoundError, "there is no bucket 'ship'"),
    ]:
        with pytest.raises(kind, match=message):
            read_table(source)
    for code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        shop.refused = code
        for source in ("s3://shop/x.csv", "s3://shop/rows/"):
            with pytest.raises(PermissionError, match=rf"s3://shop refuses access .*{code}.*permission to list and to"):
                read_table(source)
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(PermissionError, match=r"s3://shop needs credentials.*set AWS_ACCESS_KEY_ID"):
        read_table("s3://shop/x.csv")


def test_a_server_that_never_answers_is_given_up(shop, monkeypatch):
    monkeypatch.setattr(remote_files, "READ_SECONDS", 0.05)
    shop.silent = True
    with pytest.raises(ConnectionError, match=r"s3://shop does not answer .* check the network"):
        read_table("s3://shop/x.csv")
    assert len(shop.requests) < 10
