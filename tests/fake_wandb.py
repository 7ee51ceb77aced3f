"""A server on 127.0.0.1 that speaks enough of W&B's API to receive runs, and a proxy that notes every other host."""

import base64
import gzip
import json
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeWandb:
    """What was received: operations, the API keys of requests, hosts beyond this server, and runs by their id.

    Attributes:
        runs: For each run its `exit` code (None: not finished) and the number of history rows.
    """

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.keys: set[str] = set()
        self.other_hosts: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(ConnectionError):
                    super().handle()

            def log_message(self, *arguments: Any) -> None:
                """Print nothing."""

            def do_CONNECT(self) -> None:
                outer.other_hosts.append(self.path)
                self.send_error(403)

            def do_GET(self) -> None:
                self._answer(b"")

            def do_PUT(self) -> None:
                self._answer(self._body())

            def do_POST(self) -> None:
                self._answer(self._body())

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    data = b""
                    while size := int(self.rfile.readline().strip() or b"0", 16):
                        data += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

            def _answer(self, body: bytes) -> None:
                if self.path.startswith("http://"):  # as a proxy
                    outer.other_hosts.append(self.path)
                header = self.headers.get("Authorization", "")
                if header.startswith("Basic "):
                    outer.keys.add(base64.b64decode(header[6:]).decode().partition(":")[2])
                data = json.dumps(outer.respond(self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()

    def respond(self, path: str, body: bytes) -> Any:
        """Return the JSON of the response to a request."""
        if path.endswith("/file_stream"):
            return self._stream(path.split("/")[-2], json.loads(body))
        if not path.endswith("/graphql"):
            return {}
        request = json.loads(body)
        match = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
        name, values = match[1] if match else "", request.get("variables") or {}
        values = {**values, **(values.get("input") or {})}
        self.operations.append(name)
        answer = getattr(self, f"_{name.lower()}", None)
        return {"data": answer(values) if answer else {}}

    def _stream(self, run: str, body: dict[str, Any]) -> Any:
        state = self.runs.setdefault(run, {"exit": None, "history": 0})
        state["history"] += len((body.get("files") or {}).get("wandb-history.jsonl", {}).get("content", ()))
        if body.get("complete"):
            state["exit"] = body.get("exitcode")
        return {}

    def _serverfeaturesquery(self, values: dict[str, Any]) -> Any:
        return {"serverInfo": {"features": []}}

    def _artifacttype(self, values: dict[str, Any]) -> Any:
        return {"project": None}

    def _viewer(self, values: dict[str, Any]) -> Any:
        viewer = {"id": "1", "entity": "team", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}
        return {"viewer": viewer}

    def _upsertbucket(self, values: dict[str, Any]) -> Any:
        project = {"id": "p", "name": values.get("project"), "entity": {"id": "e", "name": "team"}}
        name = values.get("name")
        self.runs.setdefault(name, {"exit": None, "history": 0})
        bucket = {"id": name, "name": name, "displayName": name, "description": "", "config": "{}", "sweepName": None}
        return {"upsertBucket": {"bucket": bucket | {"project": project, "historyLineCount": 0}, "inserted": True}}

    def _createrunfiles(self, values: dict[str, Any]) -> Any:
        files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in values["files"]]
        return {"createRunFiles": {"runID": values["run"], "uploadHeaders": [], "files": files}}

    def _createartifact(self, values: dict[str, Any]) -> Any:
        names = [str(values.get(name)) for name in ("artifactTypeName", "artifactCollectionName")]
        self.artifacts.append("/".join(names))
        sequence = {"id": "s", "latestArtifact": None}
        artifact = {"id": f"a{len(self.artifacts)}", "state": "PENDING", "artifactSequence": sequence}
        return {"createArtifact": {"artifact": artifact}}

    def _createartifactmanifest(self, values: dict[str, Any]) -> Any:
        file = {"id": "f", "name": "m", "displayName": "m", "uploadUrl": f"{self.url}/upload", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}

    def _createartifactfiles(self, values: dict[str, Any]) -> Any:
        nodes = [
            {"node": {"id": "f", "name": spec["name"], "displayName": spec["name"], "uploadUrl": f"{self.url}/upload",
                      "uploadHeaders": [], "artifact": {"id": spec["artifactID"]}, "storagePath": None,
                      "uploadMultipartUrls": None}}
            for spec in values["artifactFiles"]
        ]  # fmt: skip
        return {"createArtifactFiles": {"files": {"edges": nodes}}}

    def _commitartifact(self, values: dict[str, Any]) -> Any:
        return {"commitArtifact": {"artifact": {"id": values.get("artifactID"), "digest": ""}}}

    def _useartifact(self, values: dict[str, Any]) -> Any:
        return {"useArtifact": {"artifact": {"id": values.get("artifactID"), "digest": "", "description": "",
                                             "state": "COMMITTED", "createdAt": "", "metadata": ""}}}  # fmt: skip
