"""Servers for the protocols of Google Cloud Storage and Azure Blob Storage, with the faults of `S3Server`.

They answer the requests of the client of a remote store: conditional PUT, HEAD, GET with ranges, uploads in parts or
blocks, listing, DELETE. For tests and benchmarks.
"""

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import pytest
from s3_server import DATE, PAGE, S3Server, client_variables, etag, handler_of, run_server

ACCOUNT = "team"
BATCH = "batchresponse_0"


def google_handler(server: S3Server) -> Any:
    """Return the class of the XML API of Google Cloud Storage, which is that of S3 but for its conditions."""

    class Handler(handler_of(server)):  # type: ignore[misc]
        def is_conditional(self) -> bool:
            return bool(self.headers.get("x-goog-if-generation-match") == "0")

        def dispatch(self, bucket: str, key: str, query: dict[str, list[str]], body: bytes) -> None:
            if self.command == "DELETE" and key not in server.buckets[bucket]:
                self.fail(404, "NoSuchKey")
            else:
                super().dispatch(bucket, key, query, body)

        def reply(self, status: int, body: bytes | memoryview, headers: dict[str, str]) -> None:
            super().reply(status, body, {**headers, "x-goog-generation": "1"})

    return Handler


def azure_handler(server: S3Server) -> Any:
    """Return the class of Azure Blob Storage: a container is a bucket."""

    class Handler(handler_of(server)):  # type: ignore[misc]
        conflict = (409, "BlobAlreadyExists")

        def dispatch(self, bucket: str, key: str, query: dict[str, list[str]], body: bytes) -> None:
            if "comp" not in query:
                self.dispatch_blob(bucket, key, body)
            elif query["comp"] == ["list"]:
                self.send_listing(bucket, query)
            elif query["comp"] == ["batch"]:
                self.delete_batch(bucket, body)
            elif query["comp"] == ["block"]:
                server.blocks[query["blockid"][0]] = body
                self.reply(201, b"", {})
            else:  # blocklist
                names = [part.partition("<")[0] for part in body.decode().split("<Uncommitted>")[1:]]
                server.buckets[bucket][key] = b"".join(server.blocks.pop(name) for name in names)
                self.reply(201, b"", {"ETag": etag(server.buckets[bucket][key])})

        def dispatch_blob(self, bucket: str, key: str, body: bytes) -> None:
            if self.command == "PUT" and self.headers.get("x-ms-blob-type") != "BlockBlob":
                self.fail(400, "MissingRequiredHeader")
            elif self.command == "PUT":
                self.put(bucket, key, {}, body)
            elif self.command == "DELETE":
                exists = server.buckets[bucket].pop(key, None) is not None
                self.reply(202, b"", {}) if exists else self.fail(404, "BlobNotFound")
            else:
                self.send_object(server.buckets[bucket].get(key))

        def delete_batch(self, bucket: str, body: bytes) -> None:
            paths = [line.split(" ")[1] for line in body.decode().splitlines() if line.startswith("DELETE ")]
            parts = []
            for number, path in enumerate(paths):
                exists = server.buckets[bucket].pop(path.partition("?")[0].split("/", 2)[2], None) is not None
                status = "202 Accepted" if exists else "404 The specified blob does not exist."
                error = "" if exists else "x-ms-error-code: BlobNotFound\r\n"
                part = f"--{BATCH}\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
                parts.append(f"{part}HTTP/1.1 {status}\r\n{error}x-ms-version: 2023-11-03\r\n\r\n")
            content = "".join(parts) + f"--{BATCH}--\r\n"
            self.reply(202, content.encode(), {"Content-Type": f"multipart/mixed; boundary={BATCH}"})

        def send_listing(self, bucket: str, query: dict[str, list[str]]) -> None:
            prefix, after = (query.get(name, [""])[0] for name in ("prefix", "marker"))
            keys = [key for key in sorted(server.buckets[bucket]) if key.startswith(prefix) and key > after]
            blobs = "".join(
                f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{DATE}</Last-Modified>"
                f"<Content-Length>{len(server.buckets[bucket][key])}</Content-Length><Etag>0x8</Etag>"
                "<Content-Type>application/octet-stream</Content-Type></Properties></Blob>"
                for key in keys[:PAGE]
            )
            marker = escape(keys[PAGE - 1]) if len(keys) > PAGE else ""
            body = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
            self.reply(200, body.encode(), {"Content-Type": "application/xml"})

        def fail(self, status: int, code: str) -> None:
            body = f"<Error><Code>{code}</Code><Message>{code} of the test server</Message></Error>"
            self.reply(status, body.encode(), {"Content-Type": "application/xml", "x-ms-error-code": code})

    return Handler


HANDLERS = {"s3": handler_of, "gs": google_handler, "az": azure_handler}


def cloud_variables(scheme: str, server: S3Server) -> dict[str, str]:
    """Return the environment variables by which the client reaches a server of a scheme, with credentials."""
    if scheme == "gs":
        names = ("private_key", "private_key_id", "client_email")
        key = {**dict.fromkeys(names, ""), "disable_oauth": True, "gcs_base_url": server.url}
        return {"GOOGLE_BASE_URL": server.url, "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(key)}
    if scheme == "az":
        key = base64.b64encode(b"a key of the test server").decode()
        names = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ENDPOINT")
        return dict(zip(names, (ACCOUNT, key, server.url), strict=True))
    return client_variables(server)


@contextlib.contextmanager
def serve_cloud(scheme: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Serve buckets by the protocol of a scheme; the client reaches them by the variables of the environment."""
    with run_server(handlers=HANDLERS[scheme]) as server:
        for name, value in cloud_variables(scheme, server).items():
            monkeypatch.setenv(name, value)
        yield server
