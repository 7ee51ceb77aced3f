"""An S3 server on this machine: listing, HEAD, GET with ranges, PUT with If-None-Match, uploads in parts, DELETE.

Latency, cut connections and other faults can be set while it runs. For tests and benchmarks.
"""

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
PAGE = 1000  # names of a listing
BLOCK = 1 << 18  # bytes that are sent at a time


class S3Server:
    """Buckets of objects.

    Attributes:
        buckets: Name of a bucket -> key -> bytes.
        refused: Code of the error that answers each request, such as AccessDenied; empty for none.
        silent: Whether requests are accepted and never answered.
        latency: Seconds before each answer.
        cut: Share of the connections that end before or within the answer.
        overwrites: Whether If-None-Match is ignored, as some gateways do.
        requests: Method and path of each request so far.
        url: Address of the server.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.refused, self.silent = "", False
        self.latency, self.cut, self.overwrites = 0.0, 0.0, False
        self.requests: list[str] = []
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.blocks: dict[str, bytes] = {}  # of Azure, by id, until they are part of an object
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.random = random.Random(0)
        self.url = ""

    def count(self, method: str) -> int:
        """Return the number of requests with a method so far."""
        return sum(request.startswith(f"{method} ") for request in self.requests)


def handler_of(server: S3Server) -> Any:
    """Return the class that answers the requests of a server, a `BaseHTTPRequestHandler`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        conflict = (412, "PreconditionFailed")  # status and code where a conditional PUT finds an object
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_DELETE(self) -> None:
            self.answer()

        def answer(self) -> None:
            split = urlsplit(self.path)
            bucket, _, key = unquote(split.path).lstrip("/").partition("/")
            query = parse_qs(split.query, keep_blank_values=True)
            server.requests.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(server.latency)
            with server.lock:
                fate = server.random.random() / server.cut if server.cut else 2.0
            self.share = 2 * fate - 1 if fate < 1 else None  # of the answer, before its connection is cut
            if fate < 0.5:  # the request has no effect
                self.close_connection = True
            elif server.silent:
                server.ended.wait()
                self.close_connection = True
            elif server.refused:
                self.fail(403, server.refused)
            elif bucket not in server.buckets:
                self.fail(404, "NoSuchBucket")
            else:
                self.dispatch(bucket, key, query, body)

        def dispatch(self, bucket: str, key: str, query: dict[str, list[str]], body: bytes) -> None:
            if self.command == "POST" and "delete" in query:
                self.delete_named(bucket, body)
            elif self.command == "POST":
                self.upload(bucket, key, query)
            elif self.command == "PUT":
                self.put(bucket, key, query, body)
            elif self.command == "DELETE":
                server.buckets[bucket].pop(key, None)
                self.reply(204, b"", {})
            elif key:
                self.send_object(server.buckets[bucket].get(key))
            else:
                self.send_listing(bucket, query)

        def put(self, bucket: str, key: str, query: dict[str, list[str]], body: bytes) -> None:
            if "uploadId" in query:
                server.uploads[query["uploadId"][0]][int(query["partNumber"][0])] = body
            else:
                with server.lock:
                    if self.is_conditional() and not server.overwrites and key in server.buckets[bucket]:
                        self.fail(*self.conflict)
                        return
                    server.buckets[bucket][key] = body
            self.reply(200, b"", {"ETag": etag(body)})

        def is_conditional(self) -> bool:
            return self.headers.get("If-None-Match") == "*"

        def upload(self, bucket: str, key: str, query: dict[str, list[str]]) -> None:
            if "uploads" in query:
                name = f"upload{len(server.uploads)}"
                server.uploads[name] = {}
                content = f"<UploadId>{name}</UploadId>"
            else:
                name = query["uploadId"][0]
                parts = server.uploads[name]
                server.buckets[bucket][key] = b"".join(parts[number] for number in sorted(parts))
                content = f"<ETag>{escape(etag(name.encode()))}</ETag>"
            kind = "InitiateMultipartUploadResult" if "uploads" in query else "CompleteMultipartUploadResult"
            body = f"<{kind}><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>{content}</{kind}>"
            self.reply(200, body.encode(), {"Content-Type": "application/xml"})

        def delete_named(self, bucket: str, body: bytes) -> None:
            keys = [part.partition("</Key>")[0] for part in body.decode().split("<Key>")[1:]]
            for key in keys:
                server.buckets[bucket].pop(key, None)
            items = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
            result = f"<DeleteResult>{items}</DeleteResult>"
            self.reply(200, result.encode(), {"Content-Type": "application/xml"})

        def send_object(self, data: bytes | None) -> None:
            if data is None:
                self.fail(404, "NoSuchKey")
                return
            view, status, extra = memoryview(data), 200, {}
            if (stated := self.headers.get("Range", "")).startswith("bytes="):
                first, _, last = stated.removeprefix("bytes=").partition("-")
                start, stop = int(first), int(last) + 1 if last else len(data)
                status, view = 206, view[start:stop]
                extra = {"Content-Range": f"bytes {start}-{start + len(view) - 1}/{len(data)}"}
            self.reply(status, view, {"ETag": etag(data), "Accept-Ranges": "bytes", **extra})

        def send_listing(self, bucket: str, query: dict[str, list[str]]) -> None:
            prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
            after = query.get("continuation-token", query.get("start-after", [""]))[0]
            keys, folders = [], dict[str, None]()
            for key in sorted(server.buckets[bucket]):
                rest = key.removeprefix(prefix)
                if not key.startswith(prefix) or key <= after:
                    continue
                if delimiter and delimiter in rest:
                    folders[prefix + rest.split(delimiter)[0] + delimiter] = None
                else:
                    keys.append(key)
            more = len(keys) > PAGE
            keys = keys[:PAGE]
            items = "".join(
                f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<Size>{len(server.buckets[bucket][key])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
                for key in keys
            ) + "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders)
            token = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if more else ""
            body = (
                f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
                f"<KeyCount>{len(keys) + len(folders)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
                f"{token}{items}</ListBucketResult>"
            )
            self.reply(200, body.encode(), {"Content-Type": "application/xml"})

        def fail(self, status: int, code: str) -> None:
            body = f"<Error><Code>{code}</Code><Message>{code} of the test server</Message></Error>"
            self.reply(status, body.encode(), {"Content-Type": "application/xml"})

        def reply(self, status: int, body: bytes | memoryview, headers: dict[str, str]) -> None:
            self.close_connection = self.close_connection or self.share is not None
            if self.share is not None and not len(body):
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body)), "Last-Modified": DATE}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            sent = body if self.share is None else body[: int(self.share * len(body))]
            with contextlib.suppress(OSError):  # a client that has seen enough
                for start in range(0, len(sent), BLOCK):
                    self.wfile.write(sent[start : start + BLOCK])

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


def etag(data: bytes) -> str:
    """Return the ETag of an object, as short to compute as it is unique for tests."""
    return f'"{hashlib.md5(data[:4096] + str(len(data)).encode(), usedforsecurity=False).hexdigest()}"'


@contextlib.contextmanager
def run_server(host: str = "127.0.0.1", handlers: Callable[[S3Server], Any] = handler_of) -> Iterator[S3Server]:
    """Serve buckets at an address of this machine until the block ends; `handlers` has another protocol than S3."""
    server = S3Server()
    http = ThreadingHTTPServer((host, 0), handlers(server))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    server.url = f"http://{host}:{http.server_port}"
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()


def client_variables(server: S3Server) -> dict[str, str]:
    """Return the environment variables by which libraries of S3 reach a server."""
    return {
        "AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }  # fmt: skip


@contextlib.contextmanager
def serve_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Serve buckets; libraries of S3 reach them with credentials by the variables of the environment."""
    with run_server() as server:
        for name, value in client_variables(server).items():
            monkeypatch.setenv(name, value)
        yield server
