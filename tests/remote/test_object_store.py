"""The client repeats what was cut, continues downloads, and keeps large objects out of memory."""

import hashlib
import io
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from cloud_servers import serve_cloud
from s3_server import S3Server, serve_buckets

from mlnb.errors import RemoteError
from mlnb.remote import object_store
from mlnb.remote.object_store import ObjectStore
from mlnb.remote.probe import creates_only
from mlnb.remote.remote_session import RemoteSession


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with serve_buckets(monkeypatch) as running:
        running.buckets["b"] = {}
        yield running


class Service(NamedTuple):
    """A store that the conformance tests use; `server` is None for a folder."""

    url: str
    server: S3Server | None

    def open(self, seconds: float = 3) -> ObjectStore:
        return ObjectStore(self.url, seconds)


@pytest.mark.parametrize("service", ["file", "s3", "gs", "az"], indirect=True)
class TestConformance:
    """Every store does the same; the servers of gs:// and az:// have the conditions and errors of these services."""

    @pytest.fixture
    def service(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Service]:
        if request.param == "file":
            yield Service(tmp_path.as_uri() + "/a%20folder", None)
            return
        with serve_cloud(request.param, monkeypatch) as server:
            server.buckets["b"] = {}
            yield Service(f"{request.param}://b/team", server)

    def test_objects_are_created_once_read_listed_and_deleted(self, service: Service) -> None:
        store = service.open()
        assert store.read("k/a") is None and store.modified("k/a") is None
        assert store.create("k/a", b"first") and not store.create("k/a", b"second")
        assert store.read("k/a") == b"first" and store.modified("k/a") is not None
        store.replace("k/a", b"third")
        store.replace("k/b & c", b"")
        assert store.read("k/a") == b"third" and list(store.names("k")) == ["a", "b & c"]
        assert not store.download("k/c", io.BytesIO()) and store.download("k/b & c", io.BytesIO())
        store.delete("k/a")
        store.delete("k/a")
        assert list(store.names("k")) == ["b & c"] and list(store.names("none")) == [] and not store.down

    def test_a_store_that_ignores_conditions_is_refused(self, service: Service, tmp_path: Path) -> None:
        session = cast(RemoteSession, ProbedSession(service.open(), tmp_path / "cache"))
        if service.server is not None:
            service.server.overwrites = True
            assert not creates_only(session)
            service.server.buckets["b"].clear()
            service.server.overwrites = False
        assert creates_only(session) and creates_only(session)

    def test_cut_connections_change_no_byte(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, size in (("PART", 1 << 20), ("LARGE", 2 << 20), ("BLOCK", 1 << 18)):
            monkeypatch.setattr(object_store, name, size)
        data = random.Random(0).randbytes((2 << 20) + 12345)
        (path := tmp_path / "large").write_bytes(data)
        store = service.open()
        assert store.create("first", b"1")
        if service.server is not None:
            service.server.cut = 0.4
        for number in range(8):
            store.create(f"k/{number}", b"%d" % number)
        assert store.upload("large", path) and not store.upload("large", path)
        assert [store.read(f"k/{number}") for number in range(8)] == [b"%d" % number for number in range(8)]
        assert store.download("large", target := io.BytesIO()) and target.getvalue() == data
        store.replace("large", b"damaged")
        assert store.upload("large", path, again=True)
        store.delete("k/0")
        assert len(list(store.names("k"))) == 7 and store.read("k/0") is None
        if service.server is not None:
            service.server.cut = 0.0
            assert bytes(service.server.buckets["b"]["team/large"]) == data

    def test_a_store_that_refuses_is_not_used_again(self, service: Service) -> None:
        if service.server is None:
            pytest.skip("a folder has no credentials")
        service.server.refused = "AccessDenied"
        store = service.open(0.2)
        for _ in range(3):
            with pytest.raises(RemoteError, match="access was refused"):
                store.create("a", b"")
        assert len(service.server.requests) == 1


class ProbedSession:
    """What the check of conditional writes needs of a session."""

    def __init__(self, objects: ObjectStore, cache: Path) -> None:
        self.objects, self.cache = objects, cache

    def remember(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


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
