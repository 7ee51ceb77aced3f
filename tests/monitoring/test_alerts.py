"""A verdict reaches its webhook signed, or says why not."""

import http.server
import json
import threading
import time

import pytest

from mlnb.errors import UsageError
from mlnb.monitoring.alerts import HEADER, notify, sign


@pytest.fixture
def hook():
    """A receiver on loopback: what it got, what it answers, and how long it takes."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((dict(self.headers), body))
            time.sleep(self.server.delay)
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status, server.delay = [], 204, 0.0
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url(server):
    return f"http://127.0.0.1:{server.server_port}/hook"


def test_signed(hook, monkeypatch):
    monkeypatch.setenv("MLNB_WEBHOOK_SECRET", "s3cret")
    notify(url(hook), {"outcome": "retrain", "model": "churn:3"})
    (headers, body), *_ = hook.got
    assert json.loads(body)["outcome"] == "retrain" and headers[HEADER] == sign(body, "s3cret")
    assert sign(body, "s3cret") != sign(body + b" ", "s3cret")


def test_refused_late_or_gone(hook):
    hook.status = 500
    with pytest.raises(UsageError, match="answered 500"):
        notify(url(hook), {})
    hook.delay = 2.0
    with pytest.raises(UsageError, match="did not take the verdict within"):
        notify(url(hook), {}, patience=0.2)
    with pytest.raises(UsageError, match="did not take"):
        notify("http://127.0.0.1:1/hook", {})
    with pytest.raises(UsageError, match="expected a URL"):
        notify("file:///etc/passwd", {})
