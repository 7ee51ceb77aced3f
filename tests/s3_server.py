"""A read-only S3 server on this machine: listing (ListObjectsV2), HEAD, and GET with ranges; for tests."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


class S3Server:
    """Buckets of objects.

    Attributes:
        buckets: Name of a bucket -> key -> bytes.
        refused: Code of the error that answers each request, such as AccessDenied; empty for none.
        silent: Whether requests are accepted and never answered.
        requests: Method and path of each request so far.
        url: Address of the server.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.refused, self.silent = "", False
        self.requests: list[str] = []
        self.ended = threading.Event()
        self.url = ""


def handler_of(server: S3Server) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers the requests of a server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(True)

        def do_HEAD(self) -> None:
            self.answer(False)

        def answer(self, content: bool) -> None:
            split = urlsplit(self.path)
            bucket, _, key = unquote(split.path).lstrip("/").partition("/")
            query = parse_qs(split.query, keep_blank_values=True)
            server.requests.append(f"{self.command} {self.path}")
            if server.silent:
                server.ended.wait()
                self.close_connection = True
            elif server.refused:
                self.fail(403, server.refused, content)
            elif bucket not in server.buckets:
                self.fail(404, "NoSuchBucket", content)
            elif key:
                self.send_object(server.buckets[bucket].get(key), content)
            else:
                self.send_listing(bucket, query, content)

        def send_object(self, data: bytes | None, content: bool) -> None:
            if data is None:
                self.fail(404, "NoSuchKey", content)
                return
            status, part, extra = 200, data, {}
            if (stated := self.headers.get("Range", "")).startswith("bytes="):
                first, _, last = stated.removeprefix("bytes=").partition("-")
                start, stop = int(first), int(last) + 1 if last else len(data)
                status, part = 206, data[start:stop]
                extra = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}
            etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
            self.reply(status, part, content, {"ETag": etag, "Accept-Ranges": "bytes", **extra})

        def send_listing(self, bucket: str, query: dict[str, list[str]], content: bool) -> None:
            prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
            keys, folders = [], dict[str, None]()
            for key in sorted(server.buckets[bucket]):
                rest = key.removeprefix(prefix)
                if not key.startswith(prefix):
                    continue
                if delimiter and delimiter in rest:
                    folders[prefix + rest.split(delimiter)[0] + delimiter] = None
                else:
                    keys.append(key)
            items = "".join(
                f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<Size>{len(server.buckets[bucket][key])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
                for key in keys
            ) + "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders)
            body = (
                f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
                f"<KeyCount>{len(keys) + len(folders)}</KeyCount><IsTruncated>false</IsTruncated>{items}"
                "</ListBucketResult>"
            )
            self.reply(200, body.encode(), content, {"Content-Type": "application/xml"})

        def fail(self, status: int, code: str, content: bool) -> None:
            body = f"<Error><Code>{code}</Code><Message>{code} of the test server</Message></Error>"
            self.reply(status, body.encode(), content, {"Content-Type": "application/xml"})

        def reply(self, status: int, body: bytes, content: bool, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body)), "Last-Modified": DATE}.items():
                self.send_header(name, value)
            self.end_headers()
            if content:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


@contextlib.contextmanager
def serve_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Serve buckets; libraries of S3 reach them with credentials by the variables of the environment."""
    server = S3Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(server))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    for name, value in {
        "AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()
