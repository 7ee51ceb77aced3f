"""The client repeats what was cut, continues downloads, and keeps large objects out of memory."""

import hashlib
import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import S3Server, serve_buckets

from mlnb.errors import RemoteError
from mlnb.remote import object_store
from mlnb.remote.object_store import ObjectStore


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with serve_buckets(monkeypatch) as running:
        running.buckets["b"] = {}
        yield running


@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_objects_are_created_once_read_listed_and_deleted(server: S3Server, tmp_path: Path, scheme: str) -> None:
    store = ObjectStore("s3://b/team" if scheme == "s3" else tmp_path.as_uri() + "/a%20folder", 3)
    assert store.read("k/a") is None and store.modified("k/a") is None
    assert store.create("k/a", b"first") and not store.create("k/a", b"second")
    assert store.read("k/a") == b"first" and store.modified("k/a") is not None
    store.replace("k/a", b"third")
    store.replace("k/b", b"")
    assert store.read("k/a") == b"third" and list(store.names("k")) == ["a", "b"]
    assert not store.download("k/c", io.BytesIO()) and store.download("k/b", io.BytesIO())
    store.delete("k/a")
    store.delete("k/a")
    assert list(store.names("k")) == ["b"] and list(store.names("none")) == [] and not store.down


def test_large_objects_are_sent_in_parts_and_cut_downloads_continue(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PART", 5 << 20)
    monkeypatch.setattr(object_store, "LARGE", 8 << 20)
    monkeypatch.setattr(object_store, "BLOCK", 1 << 18)
    (path := tmp_path / "large").write_bytes(random.Random(0).randbytes(12 << 20))
    store = ObjectStore("s3://b/team", 3)
    assert store.create("first", b"")
    server.cut = 0.4
    assert store.upload("large", path) and not store.upload("large", path)
    (target := tmp_path / "pulled").touch()
    with target.open("r+b") as file:
        assert store.download("large", file)
    server.cut = 0.0
    digests = {hashlib.sha256(data).digest() for data in (path.read_bytes(), target.read_bytes())}
    assert len(digests) == 1 and sum("partNumber" in request for request in server.requests) >= 3
    server.buckets["b"]["team/large"] = b"damaged"
    assert store.upload("large", path, again=True) and len(server.buckets["b"]["team/large"]) == 12 << 20
    small = tmp_path / "small"
    small.write_bytes(b"right")
    server.buckets["b"]["team/small"] = b"wrong"
    assert not store.upload("small", small) and store.upload("small", small, again=True)
    assert store.read("small") == b"right"


def test_a_store_that_refuses_or_is_silent_is_not_used_again(server: S3Server) -> None:
    server.refused = "AccessDenied"
    store = ObjectStore("s3://b/team", 0.2)
    for _ in range(3):
        with pytest.raises(RemoteError, match="access was refused"):
            store.read("a")
    assert len(server.requests) == 1
    server.refused, server.silent = "", True
    store = ObjectStore("s3://b/team", 0.2)
    for _ in range(3):
        with pytest.raises(RemoteError):
            store.read("a")
    assert store.down and len(server.requests) <= 5


def test_an_unencrypted_endpoint_is_used_only_where_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "ENDPOINT" in name or name.endswith("BASE_URL")]:
        monkeypatch.delenv(name)
    assert not object_store.is_plain_http()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://storage.example.org")
    assert not object_store.is_plain_http()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert object_store.is_plain_http()
