"""Files in an object store, read over HTTP from a server on this machine."""

import gzip
import io
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from s3_server import serve_buckets

from mlnb.engine.transient_errors import is_transient
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


@pytest.fixture
def web():
    pytest.importorskip("aiohttp")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status = int(self.path.strip("/")[:3])
            body = b"a,b\n1,2\n" if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *values):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_status_of_a_web_server_decides_what_to_do_and_whether_to_repeat(web):
    assert read_table(f"{web}/200.csv?token=x")[0].to_dict("list") == {"a": ["1"], "b": ["2"]}
    for status, kind, message, repeated in [
        (401, PermissionError, "401 Unauthorized; the server refuses access: state credentials", False),
        (403, PermissionError, "403 Forbidden; the server refuses access: state credentials", False),
        (404, FileNotFoundError, "404 Not Found; the server has no such file: check the address", False),
        (429, ConnectionError, "429 Too Many Requests; the server is busy: try again later", True),
        (500, ConnectionError, "500 Internal Server Error; the server has failed: try again later", True),
        (503, ConnectionError, "503 Service Unavailable; the server has failed: try again later", True),
    ]:
        for name in (f"{status}.csv", f"{status}/", f"{status}/*.csv"):
            with pytest.raises(kind, match=message) as caught:
                read_table(f"{web}/{name}")
            assert is_transient(caught.value) == repeated and str(caught.value).startswith(web)
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionError, match=rf"http://127.0.0.1:{port} does not answer .*address of the server"):
        read_table(f"http://127.0.0.1:{port}/x.csv")
